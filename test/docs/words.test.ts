import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { parseAst } from 'vitest/node';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Words that no user should read, with what to say instead. */
const forbidden: readonly (readonly [word: RegExp, instead: string])[] = [
  [/\bcan't\b|\bcan not\b/i, 'cannot'],
  [/\banew\b|\bafresh\b/i, 'again'],
  [/\bmeanwhile\b/i, 'at the same time'],
  [/\bwhoever\b/i, 'a noun: the user, the caller, another client'],
  [/\b(?:is|are|was|were) kept\b/i, 'is stored'],
  [/\bhad back\b/i, 'restore'],
  [/\b(?:is|was|are|were) told\b/i, 'is reported'],
  [/\bgo(?:es|ing)? on\b|\bwent on\b/i, 'continue'],
  [/\bactive session\b|\bthe active one\b/i, 'current session, or selected session'],
  [/\bmade (?:by|at|of|anew)\b/i, 'created'],
  [/\bKeeping a checkpoint\b/i, 'Making a checkpoint'],
];

const filesBelow = (folder: string): string[] =>
  readdirSync(path.join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => `${folder}/${file.replaceAll(path.sep, '/')}`);

const read = (file: string): string => readFileSync(path.join(root, file), 'utf8');

/** Every string literal of a source file that has a space in it: a sentence that somebody may read. A gap in a template is `…`. */
function sentences(source: string): string[] {
  const found: string[] = [];
  const visit = (node: unknown): void => {
    if (typeof node !== 'object' || node === null) return;
    if (Array.isArray(node)) return node.forEach(visit);
    const { type, value, quasis } = node as Node;
    if (type === 'Literal' && typeof value === 'string') found.push(value);
    if (type === 'TemplateLiteral') found.push((quasis ?? []).map(({ value: { cooked } }) => cooked).join('…'));
    Object.values(node).forEach(visit);
  };
  visit(parseAst(source, { lang: 'ts' }));
  return found.filter((text) => text.includes(' '));
}

interface Node {
  readonly type?: string;
  readonly value?: unknown;
  readonly quasis?: readonly { readonly value: { readonly cooked: string } }[];
}

/** What is wrong with the words of a text. */
const faults = (text: string): string[] =>
  forbidden.flatMap(([word, instead]) => {
    const found = word.exec(text);
    return found === null ? [] : [`"${found[0]}" (say: ${instead}) in ${text.slice(0, 120)}`];
  });

/** All strings of a JSON value. */
const strings = (value: unknown): string[] =>
  typeof value === 'string'
    ? [value]
    : typeof value === 'object' && value !== null
      ? Object.values(value).flatMap(strings)
      : [];

describe('words that people read', () => {
  test('the strings of src/ have none of the forbidden words', () => {
    expect(filesBelow('src').flatMap((file) => sentences(read(file)).flatMap(faults))).toEqual([]);
  });

  test('package.json uses none of them in what it contributes to the editor', () => {
    const { contributes, capabilities, description } = JSON.parse(read('package.json')) as Record<string, unknown>;
    expect([contributes, capabilities, description].flatMap(strings).flatMap(faults)).toEqual([]);
  });

  test('quotes are straight everywhere in src/ and in package.json', () => {
    const curly = [...filesBelow('src'), 'package.json'].filter((file) =>
      /[\u2018\u2019\u201c\u201d]/.test(read(file)),
    );
    expect(curly).toEqual([]);
  });

  test('the guard finds a fault in a string, and no string in a regular expression or a comment', () => {
    expect(faults("It can't be had back.")).toHaveLength(2);
    const source = '// It can\'t.\nconst a = /[`\']/; f(`one ${b} two`, "three four", "five");';
    expect(sentences(source)).toEqual(['one … two', 'three four']);
  });
});
