/** The operations that fill GraphiQL's tabs the first time a browser opens it. */
import { TASK_ID } from "./latest-task";

interface Sample {
  query: string;
  variables?: string;
}

const submit = `# 1. Submit a task: press Ctrl-Enter or the pink button.
#
# The answer comes at once and is durable: the task is
# stored before you see its id. The work itself runs in
# a worker. Then open the next tab, "Follow".

mutation Submit {
  processData(
    input: { data: "hello", iterations: 500 }
  ) {
    id
    status
  }
}
`;

const followTask = `# 2. Follow a task live, to its end.
#
# Its id is in the variables below. Opening this tab
# fills in the task you submitted last; any other will
# do as well.
#
# The task comes as it stands, then again whenever it
# moves. The subscription ends when the task has ended.

subscription Follow($id: ID!) {
  taskProgress(id: $id) {
    id
    kind
    status
    cursor
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
    ... on ProcessDataTask {
      result {
        totalProcessed
      }
    }
    ... on ImportItemsTask {
      result {
        inserted
        updated
        rejectedTotal
      }
    }
  }
}
`;

const tasks = `# 3. List the tasks, newest first.
#
# For the next page hand the endCursor back:
# tasks(first: 10, after: "...")

query Tasks {
  tasks(first: 10) {
    nodes {
      id
      kind
      status
      createdAt
      progress {
        percent
      }
    }
    pageInfo {
      hasNextPage
      endCursor
    }
  }
}
`;

const importItems = String.raw`# 4. Import items from CSV, or NDJSON (an object a line).
#
# Columns other than name and description go to the
# metadata. A row whose name is known updates that item.
# One bad row never stops the rest.
#
# It is a task too: watch it in "Follow", then look
# into "Items".

mutation Import {
  importItems(
    input: {
      format: CSV
      content: "name,description,price\nPencil,HB,0.5\nPen,Blue,1.2"
    }
  ) {
    id
    status
  }
}
`;

const items = `# 5. Read the stored items.
#
# Ctrl-Space inside the parentheses shows how to filter
# and order; the book at the top left explains all types.

query Items {
  items(first: 20) {
    totalCount
    nodes {
      id
      name
      description
      metadata
      createdAt
    }
  }
}
`;

const system = `# 6. Is the system well, and what can it run?

query System {
  health {
    status
    services {
      name
      status
      latencyMs
    }
  }
  taskKinds {
    name
    description
  }
}
`;

export const samples: Sample[] = [
  { query: submit },
  { query: followTask, variables: JSON.stringify({ id: TASK_ID }, null, 2) },
  { query: tasks },
  { query: importItems },
  { query: items },
  { query: system },
];
