/** A file on its way to becoming items: what it seems to be, and how it is sent. */
import { authorization, change } from "./client";
import { type FileFormat, type ImportInput, ImportItems } from "./items";

/** JSON's escapes make at most six bytes of one: with them the text stays below the gateway's limit for a request. */
const MAX_INLINE_BYTES = 200_000;
const LOOK_BYTES = 65_536;
const SHOWN_LINES = 4;
const SHOWN_CHARS = 200;
const USUAL_MAX_BYTES = 16 * 1024 * 1024;
const TYPES: Record<FileFormat, string> = { CSV: "text/csv", NDJSON: "application/x-ndjson" };

/** `start` is the text that it begins with. */
export type ChosenFile = { file: File; format: FileFormat; start: string };

/** Look at a file's first bytes. Throws an Error with a sentence for people where it can't be imported. */
export async function look(file: File): Promise<ChosenFile> {
  if (file.size === 0) throw new Error(`${file.name} is empty, or no file`);
  const start = decode(await file.slice(0, LOOK_BYTES).arrayBuffer(), file.size > LOOK_BYTES);
  return { file, start, format: start.trimStart().startsWith("{") ? "NDJSON" : "CSV" };
}

function decode(bytes: ArrayBuffer, isCut: boolean): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes, { stream: isCut });
  } catch (cause) {
    throw new Error("Expected text in UTF-8. A spreadsheet saves it as “CSV UTF-8”.", { cause });
  }
}

/** Return the lines that it begins with, for a person to see whether it is the right file. */
export function firstLines({ start }: ChosenFile): string {
  const lines = start.split(/\r?\n/, SHOWN_LINES);
  return lines.map((line) => line.slice(0, SHOWN_CHARS)).join("\n");
}

/** Return the columns that the first record names, as far as they can be told. */
export function columnsOf({ start, format }: ChosenFile): string[] {
  return [...new Set(format === "CSV" ? readHeader(start) : readNames(start))];
}

function readHeader(text: string): string[] {
  // A cell is quoted, with its quotes doubled, or has neither quotes nor commas (RFC 4180).
  const cell = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,?)/gy;
  const cells: string[] = [];
  for (let found = cell.exec(text); found; found = cell.exec(text)) {
    cells.push(found[1]?.replaceAll('""', '"') ?? found[2] ?? "");
    if (!found[3]) break;
  }
  return cells.filter(Boolean);
}

function readNames(text: string): string[] {
  try {
    const [first = ""] = text.trimStart().split(/\r?\n/, 1);
    return Object.keys(JSON.parse(first) as object);
  } catch {
    return [];
  }
}

/** Submit the import and return its task's id: a small file goes as text, a larger one is uploaded first. Throws an Error. */
export async function submitImport({ file, format }: ChosenFile, keyField: string): Promise<string> {
  const content =
    file.size <= MAX_INLINE_BYTES
      ? { content: decode(await file.arrayBuffer(), false) }
      : { contentId: await upload(file, format) };
  const input: ImportInput = { format, keyField, ...content };
  return (await change(ImportItems, { input })).importItems.id;
}

type Answer = { contentId?: string; errors?: { message: string }[] };

async function upload(file: File, format: FileFormat): Promise<string> {
  const headers = { ...authorization(), "content-type": TYPES[format] };
  const response = await fetch("/imports/content", { method: "POST", headers, body: file }).catch((cause: unknown) => {
    const why = file.size > USUAL_MAX_BYTES ? ": files of up to 16 MB are taken, unless it is set otherwise" : "";
    throw new Error(`No answer from the gateway${why}`, { cause });
  });
  const answer = (await response.json().catch(() => ({}))) as Answer;
  if (answer.contentId) return answer.contentId;
  throw new Error(answer.errors?.[0]?.message ?? `The upload was refused with the status ${response.status}`);
}
