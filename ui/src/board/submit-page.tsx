/** The form of a kind, made from its input's schema: whatever kind is installed has one. */
import { type FormEvent, useState } from "react";
import { useQuery } from "urql";
import { Link, useLocation } from "wouter";
import { Problem, useAttempt } from "./attempt";
import { Choice } from "./choice";
import { change, sayError } from "./client";
import { type Kind, Kinds } from "./documents";
import { type Field, fieldsOf, inputOf } from "./input-fields";
import { type Priority, SubmitTask, SubmitTasks } from "./mutations";
import { useTitle } from "./title";

const NONE = {};
const MOST = 1_000;
const PRIORITIES: Priority[] = ["HIGH", "NORMAL", "LOW"];

export function SubmitPage({ name }: { name: string | undefined }) {
  const [{ data, error }] = useQuery({ query: Kinds, variables: NONE });
  const kind = data?.taskKinds.find((one) => one.name === name) ?? data?.taskKinds[0];
  useTitle(kind ? `Submit ${kind.name}` : "Submit");
  return (
    <>
      <h1>Submit a task</h1>
      <Problem words={error && sayError(error)} />
      <ul className="choices" aria-label="Kinds">
        {data?.taskKinds.map((one) => (
          <li key={one.name}>
            <Link href={`/submit/${one.name}`} aria-current={one === kind ? "page" : undefined}>
              {one.name}
            </Link>
          </li>
        ))}
      </ul>
      {kind && <KindForm key={kind.name} kind={kind} />}
    </>
  );
}

function KindForm({ kind }: { kind: Kind }) {
  const [, navigate] = useLocation();
  const [answers, setAnswers] = useState<Record<string, string>>({});
  const [priority, setPriority] = useState<Priority>("NORMAL");
  const [copies, setCopies] = useState(1);
  const { isBusy, error, attempt } = useAttempt();
  const fields = fieldsOf(kind.inputSchema);
  const submit = async (): Promise<void> => {
    const task = { kind: kind.name, input: inputOf(fields, answers), options: { priority } };
    if (copies > 1) {
      const inputs = Array.from({ length: copies }, () => task);
      navigate(`/batches/${(await change(SubmitTasks, { inputs })).submitTasks.id}`);
    } else {
      navigate(`/tasks/${(await change(SubmitTask, task)).submitTask.id}`);
    }
  };
  const onSubmit = (event: FormEvent): void => {
    event.preventDefault();
    void attempt(submit);
  };
  return (
    <form className="panel form" onSubmit={onSubmit}>
      {kind.description.split("\n\n").map((paragraph) => (
        <p key={paragraph}>{paragraph}</p>
      ))}
      {fields.map((field) => (
        <FieldInput
          key={field.name}
          field={field}
          value={answers[field.name] ?? field.initial}
          answer={(value) => setAnswers({ ...answers, [field.name]: value })}
        />
      ))}
      <div className="toolbar">
        <Choice label="Priority" value={priority} among={PRIORITIES} choose={setPriority} />
        <label>
          How many{" "}
          <input type="number" min={1} max={MOST} value={copies} onChange={(event) => setCopies(event.target.valueAsNumber)} />
        </label>
        <button type="submit" className="primary" disabled={isBusy}>
          Submit
        </button>
      </div>
      <Problem words={error} />
    </form>
  );
}

type FieldProps = { field: Field; value: string; answer: (value: string) => void };

function FieldInput({ field, value, answer }: FieldProps) {
  const id = `field-${field.name}`;
  return (
    <div className="field">
      <label htmlFor={id}>
        {field.name}
        {field.isRequired && <span className="hint"> (required)</span>}
      </label>
      <Control id={id} field={field} value={value} answer={answer} />
      <p className="hint" id={`${id}-hint`}>
        {field.description}
      </p>
    </div>
  );
}

function Control({ id, field, value, answer }: FieldProps & { id: string }) {
  const shared = { id, "aria-describedby": `${id}-hint` };
  if (field.type === "choice" || field.type === "boolean") {
    return (
      <select {...shared} required={field.isRequired} value={value} onChange={(event) => answer(event.target.value)}>
        <option value="">choose</option>
        {(field.type === "boolean" ? ["true", "false"] : field.choices).map((choice) => (
          <option key={choice}>{choice}</option>
        ))}
      </select>
    );
  }
  if (field.type === "number") {
    return (
      <input
        {...shared}
        type="number"
        required={field.isRequired}
        min={field.minimum}
        max={field.maximum}
        step={field.isWhole ? 1 : "any"}
        value={value}
        onChange={(event) => answer(event.target.value)}
      />
    );
  }
  return <textarea {...shared} rows={field.type === "json" ? 4 : 2} value={value} onChange={(e) => answer(e.target.value)} />;
}
