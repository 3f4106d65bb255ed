import type { Command } from 'commander';
import { collect } from './arguments.ts';

/** What a user may write about a new window. */
export interface WindowNotes {
  readonly description?: string;
  readonly tag?: string[];
}

export const withWindowNotes = (command: Command): Command =>
  command
    .option('--description <text>', 'what the window is for')
    .option('--tag <tag>', 'a tag; may be given several times', collect);
