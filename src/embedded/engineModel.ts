import type { ChosenTemplate } from './model/chooseTemplate.ts';
import type { ModelInfo } from './worker/workerProtocol.ts';

/** Where a model's KV is on disk, and what there is of a block: its rows, the model's state at its end, or both. */
export interface KvFiles {
  /** Absolute path. */
  readonly folder: string;
  readonly kinds: 'rows' | 'rows and states' | 'states';
  /** Size of the file with a block's rows; null without rows. */
  readonly fileBytes: number | null;
}

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
  /** Null when llama.cpp's state files cannot be read. */
  readonly blocks: KvFiles | null;
  readonly startedAt: Date;
}
