import type { MemoryPage } from '../../../protocol/memory/page.ts';
import type { Message } from '../../../protocol/schemas/session.ts';
import { pageIdOf } from '../page.ts';

/** What a tool's calls taught is worth as much as what was decided, nearly (S1-22, S1-31). */
const importance = 0.7;

/** Names the page of a tool. */
export const procedureId = (tool: string): string => `t-${tool}`;

/** Whether an id may be one of a procedure. */
export const isProcedureId = (id: string): boolean => /^t-[\w-]{1,64}$/.test(id);

/** A page that says how a tool was called, what failed and what worked. Its text is derived from the results that it represents. */
export interface ProcedurePage {
  readonly page: Omit<MemoryPage, 'tier' | 'accesses' | 'accessedAt'>;
  readonly text: string;
}

/** What calls of a tool taught, and the places in the conversation of the results that say so, oldest first. */
export interface Taught {
  readonly text: string;
  readonly sources: readonly { readonly at: number }[];
}

export function procedurePage(tool: string, taught: Taught, messages: readonly Message[]): ProcedurePage {
  const sources = taught.sources.flatMap(({ at }) => messages[at] ?? []);
  const page = {
    id: procedureId(tool),
    kind: 'procedure' as const,
    modality: 'text' as const,
    messageIds: sources.map(({ id }) => id),
    sequence: sources.at(-1)?.sequence ?? 0,
    represents: sources.map((message) => ({ page: pageIdOf(message), level: 2 as const })),
    sizeBytes: Buffer.byteLength(taught.text),
    tokens: null,
    importance,
    pinned: false,
    pinnedBy: null,
    level: 0 as const,
  };
  return { page, text: taught.text };
}

/** Words of a question about a tool whose name is an ordinary word. */
const aboutTools = /\b(?:tool|call|argument|parameter|fail|error|fix|work|use)/i;

/** Whether a question is about a tool: each part of its name begins a word of it. */
export function namesTool(question: string, tool: string): boolean {
  const words: readonly string[] = question.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
  const parts = tool
    .split(/[^\p{L}\p{N}]+|(?<=\p{Ll})(?=\p{Lu})/u)
    .filter((part) => part !== '')
    .map((part) => part.toLowerCase());
  const isNamed =
    words.includes(tool.toLowerCase()) ||
    (parts.length > 0 && parts.every((part) => words.some((word) => word.startsWith(part))));
  return isNamed && (parts.length > 1 || aboutTools.test(question));
}
