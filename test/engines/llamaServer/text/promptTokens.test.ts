import { describe, expect, test } from 'vitest';
import type { Link, LinkRequest } from '../../../../src/engines/http/link.ts';
import { PromptTokens } from '../../../../src/engines/llamaServer/text/promptTokens.ts';
import { makeRig, never } from '../rig.ts';
import { fc } from '../../../support/fc.ts';

interface Body {
  readonly content: string;
  readonly add_special: boolean;
  readonly parse_special: boolean;
}

type Kind = 'plain' | 'strips' | 'looks over';

const specials = ['<|im_start|>', '<|im_end|>'];
const first = 1;

/**
 * Tokenizes as llama.cpp does: special tokens first, then the pieces between them, in pairs of characters that begin anew with each piece.
 *
 * @param kind `strips`: a special token takes white space behind it away, as some models have it. `looks over`: what comes before a special
 *   token changes the ids behind it, which llama.cpp never does.
 */
function tokenize({ content, add_special, parse_special }: Body, kind: Kind): number[] {
  const pieces = parse_special ? content.split(/(<\|im_start\|>|<\|im_end\|>)/) : [content];
  const ids = pieces.flatMap((piece, at) => {
    const special = parse_special ? specials.indexOf(piece) : -1;
    if (special >= 0) return [1000 + special];
    const text = kind === 'strips' && at > 0 ? piece.trimStart() : piece;
    const shift = kind === 'looks over' ? at : 0;
    return (text.match(/[^]{1,2}/gu) ?? []).map(
      (pair) => 2000 + shift + Array.from(pair).reduce((sum, it) => sum * 131 + (it.codePointAt(0) ?? 0), 7),
    );
  });
  return add_special ? [first, ...ids] : ids;
}

function tokenizer(kind: Kind = 'plain') {
  const asked: string[] = [];
  const link = {
    json: async ({ body }: LinkRequest) => {
      asked.push((body as Body).content);
      return { value: { tokens: tokenize(body as Body, kind) }, triedBefore: false };
    },
  } as unknown as Link;
  const whole = (content: string): number[] => tokenize({ content, add_special: true, parse_special: true }, kind);
  return { link, asked, whole };
}

const turn = (role: string, text: string): string => `<|im_start|>${role}\n${text}<|im_end|>\n`;
const long = turn('user', 'one two three '.repeat(400));

describe('token ids of prompts', () => {
  test('are those of the whole text, however prompts follow each other', async () => {
    const piece = fc.constantFrom(
      'a',
      'bc',
      ' d',
      '\n',
      '<|im_end|>',
      '<|im_start|>',
      '<|im',
      '<not>',
      'x'.repeat(2100),
      'é😀',
    );
    const texts = fc.array(fc.tuple(fc.nat(9000), fc.array(piece, { maxLength: 8 })), { minLength: 2, maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(texts, fc.constantFrom<Kind>('plain', 'strips'), async (steps, kind) => {
        const { link, whole } = tokenizer(kind);
        const prompts = new PromptTokens();
        let text = long;
        for (const [kept, added] of steps) {
          text = text.slice(0, Math.max(4200, kept)).toWellFormed() + added.join('');
          expect(await prompts.of(link, text, never)).toEqual(whole(text));
        }
      }),
      { numRuns: 40 },
    );
  });

  test('of a prompt that grew cost only its new part, once the first has shown that this is exact', async () => {
    const { link, asked, whole } = tokenizer();
    const prompts = new PromptTokens();
    const [one, two] = [long, long + turn('assistant', 'yes') + turn('user', 'more')];
    const three = two + turn('assistant', 'no') + turn('user', 'and more');
    for (const text of [one, one, two]) await prompts.of(link, text, never);
    asked.length = 0;
    expect(await prompts.of(link, three, never)).toEqual(whole(three));
    expect(asked).toHaveLength(1);
    expect(asked[0]?.length).toBeLessThan(200);
  });

  test('are never put together where the tokenizer looks over a special token', async () => {
    const { link, asked, whole } = tokenizer('looks over');
    const prompts = new PromptTokens();
    let text = long;
    for (let round = 0; round < 4; round++) {
      asked.length = 0;
      expect(await prompts.of(link, text, never)).toEqual(whole(text));
      text += turn('assistant', 'yes');
    }
    expect(asked).toEqual([text.slice(0, -turn('assistant', 'yes').length)]);
  });

  test('a turn tokenizes its conversation once, and the next one only its new message', async () => {
    const rig = await makeRig({ fake: { faults: { answer: [72, 105, 257], contextTokens: 32_768 } } });
    const messages = [{ role: 'user', content: 'one two three '.repeat(400) }] as {
      role: 'user' | 'assistant';
      content: string;
    }[];
    const ask = async () => {
      await rig.engine.tokenize(messages, true, never);
      return rig.engine.generate(
        { messages, salt: 's', maxTokens: 4, temperature: 0, addGenerationPrompt: true },
        () => undefined,
        never,
      );
    };
    const bytes = (): number[] =>
      rig.fake
        .requestsTo('/tokenize')
        .map(({ body }) => (body as Body).content.length)
        .filter((length) => length > 40);
    for (let round = 0; round < 3; round++) {
      const { text, promptIds } = await ask();
      const sent = rig.fake.requestsTo('/completion').at(-1)?.body;
      expect(sent).toMatchObject({ prompt: promptIds });
      messages.push({ role: 'assistant', content: text }, { role: 'user', content: `round ${round}` });
    }
    expect(bytes().filter((length) => length > 5000)).toHaveLength(2);
  });
});
