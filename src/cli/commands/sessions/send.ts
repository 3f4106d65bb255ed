import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import type { Perform } from '../../action.ts';
import { absolutePath } from '../../../client/absolutePath.ts';
import { CwmError } from '../../../protocol/errors.ts';
import { amount, collect, wholeNumber } from '../../arguments.ts';
import { withCommonOptions, withModelOption } from '../../run.ts';
import { messageHelp, messageId } from './messages.ts';
import { streamAnswer } from './answer.ts';

interface SendOptions {
  readonly maxTokens?: number;
  readonly temperature?: number;
  readonly rerender?: boolean;
  readonly image?: readonly string[];
  readonly tool?: string;
}

export function registerSend(program: Command, perform: Perform): void {
  withModelOption(withCommonOptions(program.command('send')))
    .description('send a message and print the answer')
    .argument('<session>', "the session's id")
    .argument('<text>', 'the message; "-" reads it from stdin')
    .option('--image <file>', 'a picture before the text, PNG, JPEG, GIF or WebP; may be given several times', collect)
    .option('--max-tokens <n>', 'longest answer, in tokens', wholeNumber(1))
    .option('--temperature <x>', '0 to 2; the default, 0, always takes the likeliest token', amount)
    .option(
      '--rerender',
      'render the whole conversation with the chat template again instead of continuing from its token ids',
    )
    .option('--tool <name>', 'tool that the answer must call; "required" is any tool')
    .action(
      (
        session: string,
        given: string,
        { maxTokens, temperature, rerender, image = [], tool, ...common }: SendOptions,
      ) =>
        perform(common, async (run) => {
          const text = given === '-' ? await run.terminal.readStdin() : given;
          const images = await Promise.all(image.map((file) => readPicture(absolutePath(file, run.terminal.cwd))));
          const more = {
            ...(images.length > 0 && { images }),
            ...(rerender && { continueFrom: 'template' as const }),
            ...(tool !== undefined && { toolChoice: tool }),
          };
          await streamAnswer(run, 'send', { session, text, maxTokens, temperature, ...more, ...run.onEngine });
        }),
    );

  withAnswerOptions(program.command('edit'))
    .description('send another text in place of a message, on a branch of its own')
    .argument('<session>', "the session's id")
    .argument('<message>', messageHelp)
    .argument('<text>', 'the new text; "-" reads it from stdin')
    .option('--branch <name>', 'name of the branch')
    .action((session: string, message: string, given: string, { branch, ...options }: AnswerOptions) =>
      perform(options, async (run) => {
        const text = given === '-' ? await run.terminal.readStdin() : given;
        const meant = await messageId(run, session, message);
        const input = { session, message: meant, text, branch, ...answering(options), ...run.onEngine };
        await streamAnswer(run, 'editMessage', input);
      }),
    );

  withAnswerOptions(program.command('regenerate'))
    .description('generate another answer to the same message, on a branch of its own')
    .argument('<session>', "the session's id")
    .argument('[message]', `${messageHelp}; the last answer by default`)
    .option('--branch <name>', 'name of the branch')
    .action((session: string, message: string | undefined, { branch, ...options }: AnswerOptions) =>
      perform(options, async (run) => {
        const meant = message === undefined ? undefined : await messageId(run, session, message);
        const input = { session, message: meant, branch, ...answering(options), ...run.onEngine };
        await streamAnswer(run, 'regenerate', input);
      }),
    );

  withAnswerOptions(program.command('continue'))
    .description('continue the last answer, which was cut, in the middle of its sentence')
    .argument('<session>', "the session's id")
    .action((session: string, options: AnswerOptions) =>
      perform(options, async (run) => {
        const input = { session, ...answering(options), ...run.onEngine };
        await streamAnswer(run, 'continueAnswer', input);
      }),
    );
}

interface AnswerOptions extends SendOptions {
  readonly branch?: string;
}

const withAnswerOptions = (command: Command): Command =>
  withModelOption(withCommonOptions(command))
    .option('--max-tokens <n>', 'longest answer, in tokens', wholeNumber(1))
    .option('--temperature <x>', '0 to 2; 0 always takes the likeliest token', amount);

const answering = ({ maxTokens, temperature }: SendOptions) => ({ maxTokens, temperature });

/** The file in base64; the backend looks at what it is. */
async function readPicture(path: string): Promise<string> {
  try {
    return await readFile(path, 'base64');
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new CwmError('PathNotFound', `The picture ${path} cannot be read (${reason}).`, { cause });
  }
}
