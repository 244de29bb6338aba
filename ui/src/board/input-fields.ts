/** What a form asks for, read from a kind's input schema, and the input that its answers make. */
export type Field = {
  name: string;
  type: "text" | "number" | "boolean" | "choice" | "json";
  description: string;
  choices: string[];
  isRequired: boolean;
  isWhole: boolean;
  minimum: number | undefined;
  maximum: number | undefined;
  initial: string;
};

type Schema = {
  $ref?: string;
  $defs?: Record<string, Schema>;
  anyOf?: Schema[];
  allOf?: Schema[];
  type?: string;
  enum?: unknown[];
  properties?: Record<string, Schema>;
  required?: string[];
  description?: string;
  default?: unknown;
  minimum?: number;
  maximum?: number;
};

const TYPES: Record<string, Field["type"]> = { string: "text", integer: "number", number: "number", boolean: "boolean" };

/** Return one field for each property, in their order; what no field fits is asked for as JSON. */
export function fieldsOf(inputSchema: unknown): Field[] {
  const schema = inputSchema as Schema;
  const required = new Set(schema.required);
  return Object.entries(schema.properties ?? {}).map(([name, property]) => {
    const { type, choices, meant } = resolve(property, schema.$defs ?? {});
    return {
      name,
      type,
      choices,
      description: property.description ?? meant.description ?? "",
      isRequired: required.has(name),
      isWhole: meant.type === "integer",
      minimum: meant.minimum,
      maximum: meant.maximum,
      initial: write(property.default, type),
    };
  });
}

function resolve(schema: Schema, defs: Record<string, Schema>): { type: Field["type"]; choices: string[]; meant: Schema } {
  const reference = schema.$ref?.split("/").at(-1);
  if (reference !== undefined) return resolve(defs[reference] ?? {}, defs);
  const variants = (schema.anyOf ?? schema.allOf)?.filter(({ type }) => type !== "null");
  if (variants?.length === 1 && variants[0]) return resolve(variants[0], defs);
  if (schema.enum) return { type: "choice", choices: schema.enum.map(String), meant: schema };
  return { type: TYPES[schema.type ?? ""] ?? "json", choices: [], meant: schema };
}

function write(value: unknown, type: Field["type"]): string {
  if (value === undefined || value === null) return "";
  return type === "json" ? JSON.stringify(value) : String(value);
}

/** Return the input; an optional field that is empty is left out. Throws a SyntaxError that names a field with bad JSON. */
export function inputOf(fields: Field[], answers: Record<string, string>): Record<string, unknown> {
  const input: Record<string, unknown> = {};
  for (const field of fields) {
    const answer = answers[field.name] ?? field.initial;
    if (answer !== "" || (field.isRequired && field.type === "text")) input[field.name] = read(field, answer);
  }
  return input;
}

function read(field: Field, answer: string): unknown {
  if (field.type === "number") return Number(answer);
  if (field.type === "boolean") return answer === "true";
  if (field.type !== "json") return answer;
  try {
    return JSON.parse(answer);
  } catch (cause) {
    throw new SyntaxError(`${field.name}: expected JSON`, { cause });
  }
}
