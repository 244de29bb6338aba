/** What the board asks, changes and follows about items, and what it gets. */
import { gql, type TypedDocumentNode } from "urql";
import { type FullTask, type PageInfo, ROW } from "./documents";

export type Metadata = Record<string, unknown>;
export type Item = {
  id: string;
  name: string;
  description: string | null;
  metadata: Metadata;
  createdAt: string;
  updatedAt: string;
};

export const ORDERS = ["NEWEST_FIRST", "OLDEST_FIRST", "NAME_ASC", "NAME_DESC", "UPDATED_DESC", "UPDATED_ASC"] as const;
export type ItemOrder = (typeof ORDERS)[number];

export type ItemFilter = {
  namePrefix?: string;
  nameContains?: string;
  metadata?: { path: string; value: unknown }[];
  createdFrom?: string;
  createdTo?: string;
};

const ITEM = gql`
  fragment ItemRow on Item {
    id
    name
    description
    metadata
    createdAt
    updatedAt
  }
`;

type ListVariables = { filter: ItemFilter; order: ItemOrder; after: string | null; count: boolean };

/** A page; how many match in all is counted only where `count` asks for it, with the first page. */
export const ListItems: TypedDocumentNode<
  { items: { nodes: Item[]; pageInfo: PageInfo; totalCount?: number } },
  ListVariables
> = gql`
  query ListItems($filter: ItemFilter, $order: ItemOrder, $after: String, $count: Boolean!) {
    items(first: 100, after: $after, filter: $filter, order: $order) {
      nodes {
        ...ItemRow
      }
      pageInfo {
        hasNextPage
        endCursor
      }
      totalCount @include(if: $count)
    }
  }
  ${ITEM}
`;

export const OneItem: TypedDocumentNode<{ item: Item }, { id: string }> = gql`
  query OneItem($id: ID!) {
    item(id: $id) {
      ...ItemRow
    }
  }
  ${ITEM}
`;

export type ItemInput = { name: string; description: string | null; metadata: Metadata };

export const CreateItem: TypedDocumentNode<{ createItem: Item }, { input: ItemInput }> = gql`
  mutation CreateItem($input: CreateItemInput!) {
    createItem(input: $input) {
      ...ItemRow
    }
  }
  ${ITEM}
`;

export const UpdateItem: TypedDocumentNode<{ updateItem: Item }, { id: string; input: Partial<ItemInput> }> = gql`
  mutation UpdateItem($id: ID!, $input: UpdateItemInput!) {
    updateItem(id: $id, input: $input) {
      ...ItemRow
    }
  }
  ${ITEM}
`;

export const DeleteItem: TypedDocumentNode<{ deleteItem: string }, { id: string }> = gql`
  mutation DeleteItem($id: ID!) {
    deleteItem(id: $id)
  }
`;

export const FORMATS = ["CSV", "NDJSON"] as const;
export type FileFormat = (typeof FORMATS)[number];
/** A small file comes as its text, a larger one by the id of its upload. */
export type ImportInput = { format: FileFormat; keyField: string } & ({ content: string } | { contentId: string });

export const ImportItems: TypedDocumentNode<{ importItems: { id: string } }, { input: ImportInput }> = gql`
  mutation ImportItems($input: ImportItemsInput!) {
    importItems(input: $input) {
      id
    }
  }
`;

export type ImportResult = {
  inserted: number;
  updated: number;
  rejectedTotal: number;
  rejected: { line: number; reason: string }[];
};
export type ImportTask = FullTask & { result?: ImportResult | null };

export const ImportProgress: TypedDocumentNode<{ taskProgress: ImportTask }, { id: string }> = gql`
  subscription ImportProgress($id: ID!) {
    taskProgress(id: $id) {
      ...Row
      cancelReason
      ... on ImportItemsTask {
        result {
          inserted
          updated
          rejectedTotal
          rejected {
            line
            reason
          }
        }
      }
    }
  }
  ${ROW}
`;

export const ExportItems: TypedDocumentNode<
  { exportItems: { id: string } },
  { filter: ItemFilter; format: FileFormat }
> = gql`
  mutation ExportItems($filter: ItemFilter, $format: ExportFormat!) {
    exportItems(filter: $filter, format: $format) {
      id
    }
  }
`;

export type ExportResult = { url: string; rows: number; bytes: number; expiresAt: string };
export type ExportTask = FullTask & { result?: ExportResult | null };

export const ExportProgress: TypedDocumentNode<{ taskProgress: ExportTask }, { id: string }> = gql`
  subscription ExportProgress($id: ID!) {
    taskProgress(id: $id) {
      ...Row
      cancelReason
      ... on ExportItemsTask {
        result {
          url
          rows
          bytes
          expiresAt
        }
      }
    }
  }
  ${ROW}
`;
