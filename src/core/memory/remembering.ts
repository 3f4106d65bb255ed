import type { Message, Session } from '../../protocol/schemas/session.ts';
import type { Engine, EngineDescription } from '../ports/engine.ts';

/** What memory needs of a turn. */
export interface Remembering {
  readonly session: Session;
  readonly engine: Engine;
  readonly description: EngineDescription;
  /** All messages of the conversation, oldest first. */
  readonly messages: readonly Message[];
  readonly salt: string;
}

/** Says which model it is, and whose template and tokenizer. */
export const modelKey = ({ engine, description: { model } }: Pick<Remembering, 'engine' | 'description'>): string =>
  JSON.stringify([engine.spec, model.id, model.fingerprint]);
