import path from 'node:path';

export interface Turn {
  readonly id: string;
  /** `Ann: Hello`, with the caption of a picture. */
  readonly text: string;
  /** As the data set writes it. */
  readonly date: string;
  /** The talk that it is a part of. */
  readonly day: number;
  readonly spokenAt: Date;
}

export interface Question {
  readonly text: string;
  /** Ids of turns; one at least. */
  readonly evidence: readonly string[];
  readonly isMultiHop: boolean;
}

export interface Conversation {
  readonly name: string;
  readonly turns: readonly Turn[];
  /** Without those that have no answer in the conversation. */
  readonly questions: readonly Question[];
}

const [multiHop, adversarial] = [1, 5];

interface StoredTurn {
  readonly dia_id: string;
  readonly speaker: string;
  readonly text: string;
  readonly blip_caption?: string;
}
interface Stored {
  readonly conversation: Readonly<Record<string, string | readonly StoredTurn[]>>;
  readonly qa: readonly {
    readonly question: string;
    readonly evidence?: readonly string[];
    readonly category: number;
  }[];
}

/** The ten conversations of LoCoMo. */
export async function locomo(place: string, read: (file: string) => Promise<string>): Promise<Conversation[]> {
  const file = place.endsWith('.json') ? place : path.join(place, 'locomo10.json');
  return (JSON.parse(await read(file)) as Stored[]).map(({ conversation, qa }, at) => {
    const days = Object.keys(conversation)
      .flatMap((key) => /^session_(\d+)$/.exec(key)?.[1] ?? [])
      .map(Number)
      .sort((a, b) => a - b);
    return {
      name: `locomo-${at + 1}`,
      turns: days.flatMap((day) => {
        const given = conversation[`session_${day}_date_time`];
        const date = typeof given === 'string' ? given : '';
        return (conversation[`session_${day}`] as readonly StoredTurn[]).map((turn) => ({
          id: turn.dia_id,
          text: `${turn.speaker}: ${turn.text}${turn.blip_caption === undefined ? '' : ` ${turn.blip_caption}`}`,
          date,
          day,
          spokenAt: timeOf(date),
        }));
      }),
      questions: qa.flatMap(({ question, evidence = [], category }) => {
        const ids = [...new Set(evidence.flatMap((text) => text.match(/D\d+:\d+/g) ?? []))];
        const isAsked = ids.length > 0 && category !== adversarial;
        return isAsked ? [{ text: question, evidence: ids, isMultiHop: category === multiHop }] : [];
      }),
    };
  });
}

/** `1:56 pm on 8 May, 2023` */
function timeOf(date: string): Date {
  const [, hour = '0', minute = '0', half = 'am', day = ''] = /^(\d+):(\d+) (am|pm) on (.+)$/.exec(date) ?? [];
  const time = new Date(`${day} 00:00 UTC`);
  time.setUTCHours((Number(hour) % 12) + (half === 'pm' ? 12 : 0), Number(minute));
  return time;
}

const stopWords = new Set(
  (
    'a an the of to in on at for and or is are was were did do does what when where who which how why with her his their its it that this ' +
    'has have had be been by from as about'
  ).split(' '),
);
const wordsOf = (text: string): string[] =>
  (text.toLowerCase().match(/[a-z0-9]+/g) ?? []).filter((word) => !stopWords.has(word));

/**
 * The floor: Okapi BM25 (k1 1.2, b 0.75) over pages of ten turns with their date, the best five or ten of them. Only the benchmark has it.
 */
export function plainBm25({ turns }: Conversation): (question: string, pages: 'five' | 'ten') => readonly Turn[] {
  const pages: Turn[][] = [];
  for (const turn of turns) {
    const page = pages.at(-1);
    if (page && page.length < 10 && page[0]!.day === turn.day) page.push(turn);
    else pages.push([turn]);
  }
  const texts = pages.map((page) => wordsOf(`${page[0]!.date} ${page.map(({ text }) => text).join(' ')}`));
  const counts = texts.map((words) => {
    const count = new Map<string, number>();
    for (const word of words) count.set(word, (count.get(word) ?? 0) + 1);
    return count;
  });
  const having = new Map<string, number>();
  for (const word of counts.flatMap((count) => [...count.keys()])) having.set(word, (having.get(word) ?? 0) + 1);
  const average = texts.reduce((sum, words) => sum + words.length, 0) / texts.length;
  return (question, wanted) => {
    const score = (at: number): number =>
      wordsOf(question).reduce((sum, word) => {
        const count = counts[at]!.get(word) ?? 0;
        const pagesWithIt = having.get(word) ?? 0;
        const rarity = Math.log(1 + (texts.length - pagesWithIt + 0.5) / (pagesWithIt + 0.5));
        return sum + (rarity * count * 2.2) / (count + 1.2 * (0.25 + (0.75 * texts[at]!.length) / average));
      }, 0);
    const best = pages.map((page, at) => ({ page, score: score(at), at }));
    best.sort((a, b) => b.score - a.score || a.at - b.at);
    return best.slice(0, wanted === 'five' ? 5 : 10).flatMap(({ page }) => page);
  };
}
