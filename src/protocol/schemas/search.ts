import * as z from 'zod/mini';
import { messageIdSchema, sessionIdSchema } from './ids.ts';
import { messageRoles } from './session.ts';
import { modalities } from '../memory/page.ts';

/** A function, since clients load the routes for their facts and a schema would come with them. */
export const foundMessageSchema = () =>
  z.object({
    message: messageIdSchema,
    /** The session that was changed last, of those that have the message. */
    session: sessionIdSchema,
    /** Of that session. */
    title: z.string(),
    /** How many other sessions have it, because they were thawed or cloned from one another. */
    alsoIn: z.number(),
    role: z.enum(messageRoles),
    /** ISO 8601. */
    createdAt: z.string(),
    excerpt: z.object({
      /** On one line. */
      text: z.string(),
      /** Begin and end in `text` of each word that was searched for, in UTF-16 units. */
      matches: z.array(z.tuple([z.number(), z.number()])),
    }),
  });
export type FoundMessage = z.infer<ReturnType<typeof foundMessageSchema>>;

/** A message that has something to do with a question. */
export const foundPageSchema = () =>
  z.object({
    /** Its id as a page of its session. */
    page: z.string(),
    session: sessionIdSchema,
    message: messageIdSchema,
    role: z.enum(messageRoles),
    modality: z.enum(modalities),
    /** ISO 8601. */
    createdAt: z.string(),
    /** At most 8,192 characters of it. */
    text: z.string(),
    isCut: z.boolean(),
  });
export type FoundPage = z.infer<ReturnType<typeof foundPageSchema>>;
