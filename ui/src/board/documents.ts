/** What the board asks and follows about tasks, and what it gets. */
import { gql, type TypedDocumentNode } from "urql";

export const STATUSES = [
  "SCHEDULED",
  "PENDING",
  "QUEUED",
  "RUNNING",
  "RETRYING",
  "CANCELLING",
  "SUCCEEDED",
  "FAILED",
  "CANCELLED",
  "EXPIRED",
] as const;
export type Status = (typeof STATUSES)[number];
export type Delivery = "LIVE" | "DEGRADED";

const ENDS: ReadonlySet<Status> = new Set(["SUCCEEDED", "FAILED", "CANCELLED", "EXPIRED"]);

/** Say whether a task with this status never changes again. */
export function hasEnded(status: Status): boolean {
  return ENDS.has(status);
}

export type Progress = { current: number; total: number | null; percent: number | null; message: string | null };
export type Failure = { code: string; message: string };

export type Task = {
  id: string;
  kind: string;
  status: Status;
  progress: Progress;
  error: Failure | null;
  attempt: number;
  maxAttempts: number;
  priority: "HIGH" | "NORMAL" | "LOW";
  cursor: string;
  delivery: Delivery;
  createdAt: string;
  startedAt: string | null;
  finishedAt: string | null;
  workerSeenAt: string | null;
  progressAt: string | null;
  batchId: string | null;
};

export type TaskFilter = { kinds?: string[]; statuses?: Status[]; batchId?: string };
export type PageInfo = { hasNextPage: boolean; endCursor: string | null };

/** What the board shows of a task in a row. */
export const ROW = gql`
  fragment Row on Task {
    id
    kind
    status
    progress {
      current
      total
      percent
      message
    }
    error {
      code
      message
    }
    attempt
    maxAttempts
    priority
    cursor
    delivery
    createdAt
    startedAt
    finishedAt
    workerSeenAt
    progressAt
    batchId
  }
`;

export const ListTasks: TypedDocumentNode<
  { tasks: { nodes: Task[]; pageInfo: PageInfo } },
  { filter: TaskFilter; after: string | null }
> = gql`
  query ListTasks($filter: TaskFilter, $after: String) {
    tasks(first: 100, after: $after, filter: $filter) {
      nodes {
        ...Row
      }
      pageInfo {
        hasNextPage
        endCursor
      }
    }
  }
  ${ROW}
`;

export const TasksChanged: TypedDocumentNode<{ tasksChanged: Task }, { filter: TaskFilter }> = gql`
  subscription TasksChanged($filter: TaskFilter) {
    tasksChanged(filter: $filter, maxHz: 4) {
      ...Row
    }
  }
  ${ROW}
`;

export type FullTask = Task & {
  cancelReason: string | null;
  retryOf: string | null;
  runAt: string | null;
  deadline: string | null;
  timeoutS: number;
  owner: string;
};

export const TaskProgress: TypedDocumentNode<{ taskProgress: FullTask }, { id: string }> = gql`
  subscription TaskProgress($id: ID!) {
    taskProgress(id: $id) {
      ...Row
      cancelReason
      retryOf
      runAt
      deadline
      timeoutS
      owner
    }
  }
  ${ROW}
`;

export type Payload = { inputJson: unknown; resultJson: unknown };

export const TaskPayload: TypedDocumentNode<{ task: Payload }, { id: string }> = gql`
  query TaskPayload($id: ID!) {
    task(id: $id) {
      inputJson
      resultJson
    }
  }
`;

type EventBase = { cursor: string; at: string; attempt: number; delivery: Delivery };
export type TaskEvent = EventBase &
  (
    | { __typename: "StateChanged"; status: Status; by: string; reason: string | null; error: Failure | null }
    | { __typename: "Progressed"; progress: Progress }
    | { __typename: "Logged"; text: string }
    | { __typename: "Gap"; before: string; why: string }
  );

export const TaskEvents: TypedDocumentNode<{ taskEvents: TaskEvent }, { id: string; after: string | null }> = gql`
  subscription TaskEvents($id: ID!, $after: String) {
    taskEvents(id: $id, after: $after) {
      __typename
      cursor
      at
      attempt
      delivery
      ... on StateChanged {
        status
        by
        reason
        error {
          code
          message
        }
      }
      ... on Progressed {
        progress {
          current
          total
          percent
          message
        }
      }
      ... on Logged {
        text
      }
      ... on Gap {
        before
        why
      }
    }
  }
`;

export type Kind = {
  name: string;
  description: string;
  resultType: string;
  inputSchema: unknown;
  timeoutS: number;
  maxAttempts: number;
};

export const Kinds: TypedDocumentNode<{ taskKinds: Kind[] }, Record<string, never>> = gql`
  query Kinds {
    taskKinds {
      name
      description
      resultType
      inputSchema
      timeoutS
      maxAttempts
    }
  }
`;

export type Service = { name: string; status: "UP" | "DOWN"; latencyMs: number | null };

export const AskHealth: TypedDocumentNode<Pick<Fleet, "health">, Record<string, never>> = gql`
  query AskHealth {
    health {
      status
      services {
        name
        status
        latencyMs
      }
    }
  }
`;

type Count = { totalCount: number };
export type Backlog = { priority: string; tasks: number; since: string | null };
export type Fleet = {
  health: { status: "HEALTHY" | "DEGRADED" | "UNHEALTHY"; services: Service[] };
  fleet: { timestamp: string; backlog: Backlog[]; workers: { tasks: number }[] };
} & Record<Status, Count>;

const COUNTS = STATUSES.map((status) => `${status}: tasks(filter: { statuses: [${status}] }) { totalCount }`).join("\n");

export const LookAtFleet: TypedDocumentNode<Fleet, Record<string, never>> = gql`
  query LookAtFleet {
    health { status services { name status latencyMs } }
    fleet { timestamp backlog { priority tasks since } workers { tasks } }
    ${COUNTS}
  }
`;

export type Batch = {
  id: string;
  total: number;
  ended: number;
  counts: { status: Status; count: number }[];
  percent: number;
  ratePerS: number;
  etaS: number | null;
  createdAt: string;
  finishedAt: string | null;
};

export const BatchProgress: TypedDocumentNode<{ batchProgress: Batch }, { id: string }> = gql`
  subscription BatchProgress($id: ID!) {
    batchProgress(id: $id) {
      id
      total
      ended
      counts {
        status
        count
      }
      percent
      ratePerS
      etaS
      createdAt
      finishedAt
    }
  }
`;
