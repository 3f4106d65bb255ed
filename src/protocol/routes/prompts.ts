import * as z from 'zod/mini';
import { namedPromptSchema } from '../schemas/sessionSettings.ts';
import { nothing, text } from './fields.ts';
import type { Route, ShapesOf } from './route.ts';

export const promptRoutes = {
  /** All named system prompts, `default` among them. */
  listPrompts: { kind: 'read', method: 'GET', path: '/api/prompts' },
  /** Creates or replaces one. Sessions that took it earlier retain the earlier text. */
  putPrompt: { kind: 'change', method: 'PUT', path: '/api/prompts/:prompt' },
  deletePrompt: { kind: 'change', method: 'DELETE', path: '/api/prompts/:prompt' },
} as const satisfies Record<string, Route>;

export const promptShapes = () =>
  ({
    listPrompts: {
      summary: 'List named system prompts',
      input: nothing,
      output: z.object({ items: z.array(namedPromptSchema) }),
    },
    putPrompt: {
      summary: 'Create or replace a named system prompt',
      input: z.object({ prompt: text, text }),
      output: namedPromptSchema,
    },
    deletePrompt: {
      summary: 'Delete a named system prompt',
      input: z.object({ prompt: text }),
      output: nothing,
    },
  }) as const satisfies ShapesOf<typeof promptRoutes>;
