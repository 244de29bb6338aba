"""The public names are fixed: every line of the contract must be found in the schema."""

import re

import pytest
from graphql import TypeDefinitionNode, parse, print_ast

from gateway.schema import build_schema
from jobs.kinds import load_kinds

CONTRACT = """
scalar JSON
scalar DateTime
enum TaskStatus { SCHEDULED PENDING QUEUED RUNNING RETRYING CANCELLING SUCCEEDED FAILED CANCELLED EXPIRED }
enum Priority { HIGH NORMAL LOW }
enum Delivery { LIVE DEGRADED }
type Progress { current: Int! total: Int percent: Float message: String }
type TaskError { code: String! message: String! }
interface Node { id: ID! }
interface Task implements Node { id: ID! kind: String! status: TaskStatus! progress: Progress! error: TaskError
  inputJson: JSON! resultJson: JSON attempt: Int! maxAttempts: Int! priority: Priority! cursor: String!
  delivery: Delivery! createdAt: DateTime! startedAt: DateTime finishedAt: DateTime workerSeenAt: DateTime
  progressAt: DateTime cancelReason: String retryOf: ID timeline(last: Int = 10): [TimelineEntry!]! }
type TimelineEntry { status: TaskStatus! at: DateTime! attempt: Int! by: String! reason: String error: TaskError }
type ProcessDataInputView { data: String! iterations: Int! }
type ProcessDataResult { processedItems: [ProcessedItem!]! totalProcessed: Int! }
type ProcessedItem { index: Int! digest: String! }
type ImportItemsInputView { format: ImportFormat! content: String contentId: ID keyField: String! }
type ImportItemsResult { inserted: Int! updated: Int! rejected: [RejectedRow!]! rejectedTotal: Int! }
type RejectedRow { line: Int! reason: String! }
type ProcessDataTask { input: ProcessDataInputView! result: ProcessDataResult }
type ExportItemsInputView { filter: ItemFilterView format: ExportFormat! }
type ExportItemsResult { fileId: ID! url: String! rows: Int! bytes: BigInt! expiresAt: DateTime! }
type ExportItemsTask { input: ExportItemsInputView! result: ExportItemsResult }
type ImportItemsTask { input: ImportItemsInputView! result: ImportItemsResult }
type UntypedTask { id: ID! }
type Item { id: ID! name: String! description: String metadata: JSON! createdAt: DateTime! updatedAt: DateTime! }
type PageInfo { hasNextPage: Boolean! hasPreviousPage: Boolean! startCursor: String endCursor: String }
type ItemEdge { node: Item! cursor: String! }
type ItemConnection { edges: [ItemEdge!]! nodes: [Item!]! pageInfo: PageInfo! totalCount: Int! }
type TaskEdge { node: Task! cursor: String! }
type TaskConnection { edges: [TaskEdge!]! nodes: [Task!]! pageInfo: PageInfo! totalCount: Int! }
enum ItemOrder { NEWEST_FIRST OLDEST_FIRST NAME_ASC NAME_DESC UPDATED_ASC UPDATED_DESC }
enum TaskOrder { NEWEST_FIRST OLDEST_FIRST }
enum ImportFormat { CSV NDJSON }
enum ExportFormat { CSV NDJSON }
type TaskKind { name: String! description: String! }
enum HealthStatus { HEALTHY DEGRADED UNHEALTHY }
type Health { status: HealthStatus! timestamp: DateTime! services: [ServiceHealth!]! }
type ServiceHealth { name: String! status: ServiceStatus! latencyMs: Float }
enum ServiceStatus { UP DOWN }
type Query { task(id: ID!): Task!
  tasks(first: Int = 20, after: String, filter: TaskFilter, order: TaskOrder): TaskConnection!
  item(id: ID!): Item!
  items(first: Int = 20, after: String, filter: ItemFilter, order: ItemOrder): ItemConnection!
  taskKinds: [TaskKind!]! health: Health! node(id: ID!): Node }
input MetadataEquals { path: String! value: JSON! }
input ItemFilter { namePrefix: String nameContains: String metadata: [MetadataEquals!] createdFrom: DateTime
  createdTo: DateTime }
input TaskFilter { kinds: [String!] statuses: [TaskStatus!] createdFrom: DateTime createdTo: DateTime batchId: ID }
input CreateItemInput { name: String! description: String metadata: JSON }
input UpdateItemInput { name: String description: String metadata: JSON }
input TaskOptions { priority: Priority = NORMAL delayS: Float runAt: DateTime deadline: DateTime timeoutS: Float
  maxAttempts: Int idempotencyKey: String }
input ProcessDataInput { data: String! iterations: Int! = 100 }
input ImportItemsInput { format: ImportFormat! content: String contentId: ID keyField: String! = "name" }
type Mutation { createItem(input: CreateItemInput!): Item! createItems(inputs: [CreateItemInput!]!): [Item!]!
  updateItem(id: ID!, input: UpdateItemInput!): Item! deleteItem(id: ID!): ID!
  processData(input: ProcessDataInput!, options: TaskOptions): ProcessDataTask!
  importItems(input: ImportItemsInput!, options: TaskOptions): ImportItemsTask!
  exportItems(filter: ItemFilter, format: ExportFormat! = CSV, options: TaskOptions): ExportItemsTask!
  submitTask(kind: String!, input: JSON!, options: TaskOptions): Task! }
type Subscription { taskProgress(id: ID!, maxHz: Float = 10): Task! }
"""


def signatures(sdl: str) -> dict[str, set[str]]:
    """Return by type what it has, as SDL without descriptions and prices, one entry a field or value."""
    document = parse(re.sub(r'""".*?"""|(?<!directive) @(cost|listSize)\([^)]*\)', "", sdl, flags=re.DOTALL))
    return {
        definition.name.value: {
            print_ast(part) for part in getattr(definition, "fields", getattr(definition, "values", ()))
        }
        for definition in document.definitions
        if isinstance(definition, TypeDefinitionNode)
    }


EXPECTED = signatures(CONTRACT)
ACTUAL = signatures(build_schema(load_kinds()).as_str())


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_the_contract_of_a_type_is_kept(name: str) -> None:
    assert EXPECTED[name] - ACTUAL[name] == set()


@pytest.mark.parametrize("name", sorted(name for name in EXPECTED if name.endswith("Status") or name == "Priority"))
def test_an_enum_of_the_contract_has_no_other_values(name: str) -> None:
    assert ACTUAL[name] == EXPECTED[name]
