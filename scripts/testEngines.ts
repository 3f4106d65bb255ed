// The live suite: the product against a real vLLM, LMCache and llama-server, which `npm run engines:install` installs. Arguments are
// parts of the names of its files; default: all.
import { runLiveSuite } from './liveRuns.ts';

const files = 'test/engines/**/*.live.test.ts';
await runLiveSuite({ name: 'engines', files, config: 'test/engines/live/vitest.config.ts' }, process.argv.slice(2));
