import * as z from 'zod/mini';
import { messageContentTypes, messageSchema } from '../../protocol/schemas/session.ts';

/** A message as its file has it. One of a kind that a later version added is read whole (S4-03): the conversation around it can be used. */
export const storedMessageSchema = z.pipe(z.transform(readable), messageSchema);

function readable(value: unknown): unknown {
  const { content, ...message } = fieldsOf(value);
  const { type } = fieldsOf(content);
  const isKnown = typeof type !== 'string' || messageContentTypes.has(type);
  return isKnown ? value : { ...message, content: { type: 'unknown', kind: type, whole: content } };
}

const fieldsOf = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
