// fast-check with the same cases each time: a commit is then green or red because of what it changes. A night tries other ones.
import fc from 'fast-check';
import { isNightly } from './nightly.ts';

if (!isNightly) fc.configureGlobal({ ...fc.readConfigureGlobal(), seed: 20_261_129 });

export { fc };
