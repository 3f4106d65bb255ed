import * as z from 'zod/mini';
import type { LineageId, MessageId, ProjectUri, PromptId, SessionId, WindowName } from '../ids.ts';

// Records and answers carry ids that were parsed when they came in (`protocol/ids.ts`), so these schemas give them their type back
// and check no more than that each is a string. What a user or client types is parsed by the operation, which can say what is wrong.
const idSchema = <Id extends string>(): z.ZodMiniType<Id, string> =>
  z.string() as z.ZodMiniType<string> as z.ZodMiniType<Id, string>;

export const sessionIdSchema = idSchema<SessionId>();
export const windowNameSchema = idSchema<WindowName>();
export const messageIdSchema = idSchema<MessageId>();
export const lineageIdSchema = idSchema<LineageId>();
export const projectUriSchema = idSchema<ProjectUri>();
export const promptIdSchema = idSchema<PromptId>();
