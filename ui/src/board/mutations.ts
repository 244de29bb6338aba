/** What the board changes: it submits, cancels and retries tasks, one or all that match. */
import { gql, type TypedDocumentNode } from "urql";
import { ROW, type Task, type TaskFilter } from "./documents";

export const CancelTask: TypedDocumentNode<{ cancelTask: Task }, { id: string }> = gql`
  mutation CancelTask($id: ID!) {
    cancelTask(id: $id, reason: "Asked for on the task board") {
      ...Row
    }
  }
  ${ROW}
`;

export const RetryTask: TypedDocumentNode<{ retryTask: { id: string } }, { id: string }> = gql`
  mutation RetryTask($id: ID!) {
    retryTask(id: $id) {
      id
    }
  }
`;

export type Priority = Task["priority"];
export type Submit = { kind: string; input: Record<string, unknown>; options: { priority: Priority } };

export const SubmitTask: TypedDocumentNode<{ submitTask: { id: string } }, Submit> = gql`
  mutation SubmitTask($kind: String!, $input: JSON!, $options: TaskOptions) {
    submitTask(kind: $kind, input: $input, options: $options) {
      id
    }
  }
`;

export const SubmitTasks: TypedDocumentNode<{ submitTasks: { id: string } }, { inputs: Submit[] }> = gql`
  mutation SubmitTasks($inputs: [SubmitTaskInput!]!) {
    submitTasks(inputs: $inputs) {
      id
    }
  }
`;

export type BulkResult = { matched: number; changed: number; hasMore: boolean };
type BulkVariables = { filter: TaskFilter; dryRun: boolean };

export const CancelTasks: TypedDocumentNode<{ bulk: BulkResult }, BulkVariables> = gql`
  mutation CancelTasks($filter: TaskFilter!, $dryRun: Boolean) {
    bulk: cancelTasks(filter: $filter, dryRun: $dryRun, reason: "Asked for on the task board") {
      matched
      changed
      hasMore
    }
  }
`;

export const RetryTasks: TypedDocumentNode<{ bulk: BulkResult }, BulkVariables> = gql`
  mutation RetryTasks($filter: TaskFilter!, $dryRun: Boolean) {
    bulk: retryTasks(filter: $filter, dryRun: $dryRun) {
      matched
      changed
      hasMore
    }
  }
`;
