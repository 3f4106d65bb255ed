import type { ChosenTemplate } from './model/chooseTemplate.ts';
import type { ModelInfo } from './worker/workerProtocol.ts';

/** The one model of this process, as clients see it. */
export interface EngineModel {
  readonly id: string;
  /** As the user named it. */
  readonly path: string;
  /** Over all its parts. */
  readonly sha256: string;
  readonly info: ModelInfo;
  readonly template: ChosenTemplate;
  /** A notice about it for the user; null for none. */
  readonly notice: string | null;
  readonly blockTokens: number;
  /** Null when the model's state has no rows that could be stored as blocks. */
  readonly blocks: {
    /** Absolute path. */
    readonly folder: string;
    /** Size of one block's file. */
    readonly fileBytes: number;
  } | null;
  readonly startedAt: Date;
}
