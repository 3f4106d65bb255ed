import { withAbsoluteModel } from '../../protocol/engineSpec.ts';
import { setting } from './settings.ts';
import { userPath } from './userPath.ts';

/** The engine that the settings name, as the backend understands it: a model's path is absolute. */
export const engineSpec = (): string => withAbsoluteModel(setting('cwm.engine'), userPath);
