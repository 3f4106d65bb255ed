import { modalities, type Modality } from '../../../protocol/memory/page.ts';
import type { Message } from '../../../protocol/schemas/session.ts';
import type { MemoryTool } from '../memoryTool.ts';
import { limitOf } from '../segments/budget.ts';
import { layoutOf } from '../segments/layout.ts';
import { pagesFor } from './pagesFor.ts';
import { asksForRecall } from './recallPhrases.ts';

const name = 'search_pages';
const usualLimit = 5;
const mostPages = 10;
const longestQuery = 1_000;
/** Searches of one turn. */
const mostSearches = 4;
/** Tools whose calls a question may be about. */
const mostProcedures = 2;
/** Of the model's limit that one search may take, so that the searches and faults of a turn leave room for the question. */
const mostShare = 1 / 12;

/** Finds pages in everything that was said in the session, on every branch, and in the project where that is asked for. It takes no fault. */
export const searchTool: MemoryTool = {
  name,
  description:
    'Finds what was said earlier in this conversation and has to do with a question, best first, also where other words were used. Each result has the id that page_fault takes.',
  inputSchema: {
    type: 'object',
    properties: {
      query: { type: 'string', description: 'a question, or words that may have been said; names and dates help' },
      modality: { type: 'string', enum: [...modalities], description: 'only pages of this kind' },
      limit: {
        type: 'integer',
        minimum: 1,
        maximum: mostPages,
        description: 'how much to return: about 310 tokens each; default 5',
      },
      in_project: { type: 'boolean', description: 'also in the other conversations of the project' },
    },
    required: ['query'],
    additionalProperties: false,
  },
  readsOnly: true,
  isDestructive: false,
  async run(core, turn, { query, modality, limit = usualLimit, in_project: inProject = false }, signal) {
    const refused = (error: string) => ({ text: JSON.stringify({ error }), hasFailed: true });
    if (typeof query !== 'string' || query.trim() === '') return refused('The argument "query" is missing.');
    if (query.length > longestQuery) return refused(`The query is longer than ${longestQuery} characters.`);
    if (typeof limit !== 'number' || !Number.isInteger(limit) || limit < 1 || limit > mostPages)
      return refused(`The argument "limit" is not 1 to ${mostPages}.`);
    if (modality !== undefined && !isModality(modality))
      return refused(`The argument "modality" is none of ${modalities.join(', ')}.`);
    if (typeof inProject !== 'boolean') return refused('The argument "in_project" is not true or false.');
    const { session, messages, description } = turn;
    const { asked, searches, before } = sinceAsked(messages);
    if (searches >= mostSearches)
      return refused(`Search limit: ${mostSearches} searches were made in this turn already.`);
    const most = limitOf(description.model, session.settings?.memory ?? { enableVm: true });
    const mostTokens = most === null ? undefined : Math.floor(most * mostShare);
    const memory = await core.memories.of(session);
    const conversation = memory.pagesOf(messages, layoutOf(messages, memory.segments, session.tokens));
    const isText = modality === undefined || modality === 'text';
    const about = isText ? conversation.procedures(query).slice(0, mostProcedures) : [];
    const procedures = about.map((page) => ({
      page_id: page.id,
      role: 'tool',
      kind: page.kind,
      text: conversation.derivedText(page),
    }));
    const what = { text: query, limit, mostTokens, modality, inProject, before };
    const pages = await pagesFor(core, turn, what, signal);
    await core.memories.record(session, [
      {
        type: 'search',
        query: query.toWellFormed(),
        pages: [...about, ...pages].map(({ id }) => id),
        reason: asksForRecall(asked) ? 'user_requested_recall' : 'resolve_reference',
        tokens: pages.reduce((sum, { tokens }) => sum + tokens, 0),
        sequence: messages.at(-1)?.sequence ?? 0,
        at: core.clock.now().toISOString(),
      },
    ]);
    const found = pages.map(({ id, message, isOwn, isInPrompt, text, isCut }) => ({
      ...(isOwn ? { page_id: id } : { from: 'another conversation of the project' }),
      role: message.role,
      date: message.createdAt.slice(0, 10),
      ...(isInPrompt && { in_prompt: true }),
      ...(isCut && { cut: true }),
      text,
    }));
    return { text: JSON.stringify({ results: [...procedures, ...found] }), hasFailed: false };
  },
};

const isModality = (value: unknown): value is Modality => modalities.some((modality) => modality === value);

/** What the user said last, its place in the conversation, and the searches since then. */
function sinceAsked(messages: readonly Message[]): {
  readonly asked: string;
  readonly before: number;
  readonly searches: number;
} {
  const begun = messages.findLastIndex(({ role }) => role === 'user');
  const content = messages[begun]?.content;
  return {
    before: begun + 1,
    asked: content?.type === 'text' ? content.text : '',
    searches: messages
      .slice(begun + 1)
      .filter(({ content: each }) => each.type === 'tool-result' && each.name === name && each.outcome === 'done')
      .length,
  };
}
