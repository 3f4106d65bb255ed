import * as z from 'zod/mini';
import { wholeBefore } from '../base/readableText.ts';
import { importanceSchema, modalities } from '../protocol/memory/page.ts';
import type { AgentTool } from './agentTool.ts';
import { described, sessionId } from './fields.ts';

type Shapes = ReturnType<typeof pageToolShapes>;
type Input<Name extends keyof Shapes> = z.input<Shapes[Name]['input']>;
type Output<Name extends keyof Shapes> = z.input<Shapes[Name]['output']>;

/** An agent's own context is limited, too. */
const usualCharacters = 8_000;
const usualPages = 5;

const pageFault: AgentTool<Input<'page_fault'>, Output<'page_fault'>> = {
  title: 'Read Page',
  description:
    "Reads a page of a session's memory: a message with its whole text, also where it has left the model's prompt. Long ones come in parts.",
  effect: 'reads',
  async run(backend, { session_id, page_id, from_character: from = 0, max_characters: most = usualCharacters }) {
    const { page, text } = await backend.call('memoryPage', { session: session_id, page: page_id });
    const cut = wholeBefore(text, Math.min(text.length, from + most));
    // A part has one character at least, so that the next one begins later.
    const end = cut > from ? cut : Math.min(text.length, from + 2);
    const part = text.slice(from, end).toWellFormed();
    return {
      page_id: page.id,
      kind: page.kind,
      tier: page.tier,
      content: part,
      from_character: from,
      next_character: end < text.length ? end : null,
      characters: text.length,
    };
  },
};

const searchPages: AgentTool<Input<'search_pages'>, Output<'search_pages'>> = {
  title: 'Search Pages',
  description:
    'Finds what was said earlier in a session and has to do with a question, best first, also where other words were used. Each result has the id that page_fault takes.',
  effect: 'reads',
  async run(backend, { session_id, query, limit = usualPages, modality }) {
    const { items } = await backend.call('searchPages', { text: query, session: session_id, limit, modality });
    return {
      results: items.map(({ page, role, createdAt, text, isCut }) => ({
        page_id: page,
        role,
        created_at: createdAt,
        text,
        cut: isCut,
      })),
    };
  },
};

const pageImportance: AgentTool<Input<'page_importance'>, Output<'page_importance'>> = {
  title: 'Weigh Page',
  description:
    "Says what a page of a session's memory is worth to later prompts. What is worth less leaves the prompt first, and from 0.9 on a page stays whole as far as there is room.",
  effect: 'changes',
  async run(backend, { session_id, page_id, importance }) {
    const weighed = await backend.call('weighPage', { session: session_id, page: page_id, importance });
    return { page_id: weighed.page, importance: weighed.importance };
  },
};

/** What was said in a session, as its memory's own tools find it, and what it is worth. */
export const pageTools = { page_fault: pageFault, search_pages: searchPages, page_importance: pageImportance } as const;

export const pageToolShapes = () =>
  ({
    page_fault: {
      input: z.object({
        session_id: sessionId(),
        page_id: described(z.string().check(z.minLength(1)), 'Id of the page, like p41-3f9a.'),
        from_character: z.optional(described(z.int().check(z.gte(0)), 'Where the part begins. Default: 0.')),
        max_characters: z.optional(
          described(z.int().check(z.gte(1), z.lte(100_000)), `Most characters of it. Default: ${usualCharacters}.`),
        ),
      }),
      output: z.object({
        page_id: z.string(),
        kind: z.string(),
        tier: z.string(),
        content: z.string(),
        from_character: z.number(),
        next_character: z.nullable(z.number()),
        characters: z.number(),
      }),
    },
    page_importance: {
      input: z.object({
        session_id: sessionId(),
        page_id: described(z.string().check(z.minLength(1)), 'Id of the page, like p41-3f9a.'),
        importance: described(
          z.nullable(importanceSchema),
          '0 to 1; null: as much as pages of its role are (0.6 of the user, 0.5 of the model, 0.4 of a tool).',
        ),
      }),
      output: z.object({ page_id: z.string(), importance: z.number() }),
    },
    search_pages: {
      input: z.object({
        session_id: sessionId(),
        query: described(z.string().check(z.minLength(1)), 'A question, or words that may have been said.'),
        limit: z.optional(described(z.int().check(z.gte(1), z.lte(100)), `Most pages. Default: ${usualPages}.`)),
        modality: z.optional(described(z.enum(modalities), 'Only pages of this kind.')),
      }),
      output: z.object({
        results: z.array(
          z.object({
            page_id: z.string(),
            role: z.string(),
            created_at: z.string(),
            text: z.string(),
            cut: z.boolean(),
          }),
        ),
      }),
    },
  }) as const;
