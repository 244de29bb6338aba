/** The operations on dead letters. */
import { gql, type TypedDocumentNode } from "urql";
import type { PageInfo } from "./documents";

export type DeadLetter = {
  id: string;
  at: string;
  reason: string;
  queue: string | null;
  size: number;
  isComplete: boolean;
  text: string | null;
  taskId: string | null;
};

export const ListDeadLetters: TypedDocumentNode<
  { deadLetters: { nodes: DeadLetter[]; pageInfo: PageInfo } },
  { after: string | null }
> = gql`
  query ListDeadLetters($after: String) {
    deadLetters(first: 50, after: $after) {
      nodes {
        id
        at
        reason
        queue
        size
        isComplete
        text
        taskId
      }
      pageInfo {
        hasNextPage
        endCursor
      }
    }
  }
`;

export const ResendDeadLetter: TypedDocumentNode<{ resendDeadLetter: { id: string } }, { id: string }> = gql`
  mutation ResendDeadLetter($id: ID!) {
    resendDeadLetter(id: $id) {
      id
    }
  }
`;

export const DiscardDeadLetter: TypedDocumentNode<{ discardDeadLetter: string }, { id: string }> = gql`
  mutation DiscardDeadLetter($id: ID!) {
    discardDeadLetter(id: $id)
  }
`;
