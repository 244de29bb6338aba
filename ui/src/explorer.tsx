/** The explorer page: GraphiQL on the gateway that served it, with sample operations in its tabs. */
import "./workers";
import "graphiql/style.css";
import "./explorer.css";
import { GraphiQL } from "graphiql";
import { createRoot } from "react-dom/client";
import { createFetcher } from "./fetcher";
import { OfferLatestTask, rememberTask } from "./latest-task";
import { samples } from "./samples";

const fetcher = createFetcher("/graphql", rememberTask);

function Explorer() {
  return (
    <GraphiQL fetcher={fetcher} defaultTabs={samples} defaultEditorToolsVisibility="variables">
      <GraphiQL.Logo>Headway</GraphiQL.Logo>
      <OfferLatestTask />
    </GraphiQL>
  );
}

const root = document.getElementById("root");
if (!root) throw new Error("index.html has no element with the id root");
createRoot(root).render(<Explorer />);
