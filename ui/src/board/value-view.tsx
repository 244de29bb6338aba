/** A JSON value as people read it: objects as pairs, lists of objects as tables, and the whole as a file. */
const MAX_ROWS = 100;
const MAX_TEXT = 2_000;
const SPACES = 2;

type Fields = Record<string, unknown>;

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function ValueView({ value, name }: { value: unknown; name: string }) {
  const save = (): void => {
    const url = URL.createObjectURL(new Blob([JSON.stringify(value, null, SPACES)], { type: "application/json" }));
    const link = document.createElement("a");
    link.href = url;
    link.download = `${name}.json`;
    link.click();
    URL.revokeObjectURL(url);
  };
  return (
    <div className="value">
      <Value value={value} name={name} />
      <button type="button" onClick={save}>
        Save as JSON
      </button>
    </div>
  );
}

function Value({ value, name }: { value: unknown; name: string }) {
  if (isFields(value)) return <Pairs fields={value} />;
  if (Array.isArray(value)) return value.every(isFields) ? <Rows rows={value} name={name} /> : <Plain value={value} />;
  return <Plain value={value} />;
}

function Plain({ value }: { value: unknown }) {
  const text = typeof value === "string" ? value : (JSON.stringify(value) ?? "");
  const shown = text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}… (${text.length.toLocaleString("en")} characters)` : text;
  return <span className="plain">{shown}</span>;
}

function Pairs({ fields }: { fields: Fields }) {
  return (
    <dl>
      {Object.entries(fields).map(([name, value]) => (
        <div className="pair" key={name}>
          <dt>{name}</dt>
          <dd>
            <Value value={value} name={name} />
          </dd>
        </div>
      ))}
    </dl>
  );
}

function Rows({ rows, name }: { rows: Fields[]; name: string }) {
  const [first] = rows;
  if (!first) return <span className="empty">none</span>;
  const columns = Object.keys(first);
  return (
    // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- a keyboard must be able to scroll it.
    <section className="scroll" aria-label={name} tabIndex={0}>
      <table>
        <thead>
          <tr>
            {columns.map((column) => (
              <th key={column} scope="col">
                {column}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.slice(0, MAX_ROWS).map((row, index) => (
            // oxlint-disable-next-line react/no-array-index-key -- the rows of a value never move.
            <tr key={index}>
              {columns.map((column) => (
                <td key={column}>
                  <Plain value={row[column]} />
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      {rows.length > MAX_ROWS && <p>{(rows.length - MAX_ROWS).toLocaleString("en")} more are in the file.</p>}
    </section>
  );
}
