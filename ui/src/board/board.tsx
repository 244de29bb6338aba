/** The task board's page: its frame, its addresses, and which view is at each. */
import "./board.css";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { Provider } from "urql";
import { Link, Route, Router, Switch, useLocation } from "wouter";
import { Badge } from "./badge";
import { BatchesPage, BatchPage } from "./batch-page";
import { client } from "./client";
import { DeadLettersPage } from "./dead-letters-page";
import { ItemsPage } from "./items-page";
import { SubmitPage } from "./submit-page";
import { TaskPage } from "./task-page";
import { TasksPage } from "./tasks-page";

const VIEWS = [
  ["/", "Tasks"],
  ["/submit", "Submit"],
  ["/batches", "Batches"],
  ["/items", "Items"],
  ["/dead-letters", "Dead letters"],
] as const;

function isAt(href: string, place: string): boolean {
  return href === "/" ? place === "/" || place.startsWith("/tasks/") : place.startsWith(href);
}

function Board() {
  const [place] = useLocation();
  return (
    <>
      <a className="skip" href="#main">
        Skip to the content
      </a>
      <header>
        <span className="brand">Headway</span>
        <nav aria-label="Pages">
          {VIEWS.map(([href, name]) => (
            <Link key={href} href={href} aria-current={isAt(href, place) ? "page" : undefined}>
              {name}
            </Link>
          ))}
          <a href="/graphql">GraphiQL</a>
        </nav>
        <Badge />
      </header>
      <main id="main" tabIndex={-1}>
        <Switch>
          <Route path="/">
            <TasksPage />
          </Route>
          <Route path="/tasks/:id">{({ id }) => <TaskPage key={id} id={id} />}</Route>
          <Route path="/submit/:kind?">{({ kind }) => <SubmitPage name={kind} />}</Route>
          <Route path="/batches">
            <BatchesPage />
          </Route>
          <Route path="/batches/:id">{({ id }) => <BatchPage key={id} id={id} />}</Route>
          <Route path="/items/:id?">{({ id }) => <ItemsPage id={id} />}</Route>
          <Route path="/dead-letters">
            <DeadLettersPage />
          </Route>
          <Route>
            <h1>There is no such page</h1>
            <p>
              <Link href="/">Go to the tasks</Link>
            </p>
          </Route>
        </Switch>
      </main>
    </>
  );
}

const root = document.getElementById("root");
if (!root) throw new Error("board.html has no element with the id root");
createRoot(root).render(
  <StrictMode>
    <Provider value={client}>
      <Router base="/board">
        <Board />
      </Router>
    </Provider>
  </StrictMode>,
);
