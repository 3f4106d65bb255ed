import type { Message } from '../../../protocol/schemas/session.ts';
import { textOf } from '../page.ts';

/** A sentence of a message. */
interface Sentence {
  readonly message: Message;
  readonly text: string;
  readonly place: number;
  readonly score: number;
}

/** Words of what was agreed, found or is still open. */
const claimCues =
  /\b(?:decid\w*|decision\w*|agreed?|we (?:will|must|should|use|deploy|retry)|must|never|always|chose|choice|prefer\w*|is called|named|because|requires?|expires?|deadline|todo|open question|conclusion|important|remember|note that)\b/i;

const longestSentence = 300;

/** The sentences that say most, in their order, joined, at most this many characters; where no model summarises. */
export function extractSummary(messages: readonly Message[], characters: number): string {
  return pick(
    messages.flatMap((message) => sentencesOf(message)),
    characters,
  )
    .map(({ text }) => text)
    .join(' ');
}

/** The sentences that state a decision or a rule, with their messages, in their order; at most this many characters. */
export const extractClaims = (
  messages: readonly Message[],
  characters: number,
): readonly Pick<Sentence, 'message' | 'text'>[] =>
  pick(
    messages.flatMap((message) => sentencesOf(message).filter(({ text }) => claimCues.test(text))),
    characters,
  );

/** Words of what was decided, which outlives whatever else was said. */
const decisionCues = /\b(?:decid\w*|decision\w*|agreed?|must|never|always|chose|is called|named)\b/i;

/** Of sentences that stood in older summaries, as many as the characters allow: decisions first, and of those the latest. They keep their order. */
export function strongestClaims<Claim extends { readonly text: string }>(
  claims: readonly Claim[],
  characters: number,
): Claim[] {
  let left = characters;
  const kept = new Set<Claim>();
  // What was decided later may take back what was decided before.
  const ranked = [...claims.filter(({ text }) => decisionCues.test(text)).reverse(), ...[...claims].reverse()];
  for (const claim of ranked) {
    if (kept.has(claim) || claim.text.length + framingCharacters > left) continue;
    left -= claim.text.length + framingCharacters;
    kept.add(claim);
  }
  return claims.filter((claim) => kept.has(claim));
}

/** What the line of a claim has around its text. */
const framingCharacters = 24;

function pick(sentences: readonly Sentence[], characters: number): readonly Sentence[] {
  const ranked = sentences.map((sentence, order) => ({ sentence, order }));
  ranked.sort((a, b) => b.sentence.score - a.sentence.score || a.order - b.order);
  let left = characters;
  const picked = ranked.filter(({ sentence: { text } }) => {
    if (text.length + 1 > left) return false;
    left -= text.length + 1;
    return true;
  });
  return picked.sort((a, b) => a.order - b.order).map(({ sentence }) => sentence);
}

function sentencesOf(message: Message): Sentence[] {
  const { content } = message;
  if (content.type === 'context' || content.type === 'tool-result') return [];
  const sentences = textOf(message).match(/[^.!?\n]+(?:[.!?](?!\s|$)[^.!?\n]*)*[.!?]*/g) ?? [];
  return sentences.flatMap((raw, place) => {
    const text = raw.replaceAll(/\s+/g, ' ').trim();
    if (text.length < 8 || text.length > longestSentence) return [];
    return [{ message, text, place, score: scoreOf(text, place, message.role) }];
  });
}

function scoreOf(text: string, place: number, role: Message['role']): number {
  const cue = claimCues.test(text) ? 4 : 0;
  const names = Math.min(2, (text.match(/\b(?:\w*\d\w*|[A-Z][a-z]*[A-Z]\w*|\w+[/_-]\w+|[A-Z]{2,})\b/g) ?? []).length);
  return cue + names + (role === 'user' ? 1 : 0) + (place === 0 ? 0.5 : 0);
}
