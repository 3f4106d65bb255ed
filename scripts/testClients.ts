// Programs that nobody here wrote use the gateway and the MCP server, in front of a real model: those of every run, and all of them with
// CWM_NIGHTLY=1. `npm run clients:install` and `npm run engines:install gemma` bring what they need. Arguments are parts of the names of
// its files; default: all.
import { runLiveSuite } from './liveRuns.ts';

const files = 'test/clients/**/*.live.test.ts';
await runLiveSuite({ name: 'clients', files, config: 'test/clients/vitest.config.ts' }, process.argv.slice(2));
