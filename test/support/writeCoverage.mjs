// A process that is killed writes no coverage at its end, so each one writes every two seconds, and before its parent's end ends it.
import { takeCoverage } from 'node:v8';

process.prependListener('disconnect', takeCoverage);
setInterval(() => takeCoverage(), 2000).unref();
