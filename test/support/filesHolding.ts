import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** Files below a directory in which this text can be read. One that goes away meanwhile holds nothing. */
export const filesHolding = (text: string, directory: string): string[] =>
  readdirSync(directory, { recursive: true, encoding: 'utf8' }).filter((name) => {
    try {
      const path = join(directory, name);
      return statSync(path).isFile() && readFileSync(path).includes(text);
    } catch {
      return false;
    }
  });
