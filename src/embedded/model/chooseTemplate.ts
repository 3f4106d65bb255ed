import { readFileSync } from 'node:fs';
import { Template } from '@huggingface/jinja';
import { CwmError } from '../../protocol/errors.ts';
import type { ModelInfo } from '../worker/workerProtocol.ts';
import { builtInTemplates, isBuiltInTemplate, templateForMarkers } from './builtInTemplates.ts';

/** The template that chats are rendered with. */
export interface ChosenTemplate {
  readonly template: Template;
  /** Texts that end an answer, besides the model's own end tokens. */
  readonly stopStrings: readonly string[];
  /** A notice for the user; null for the model's own template. */
  readonly notice: string | null;
}

/**
 * The template that the user asked for, else the model's own, else the one that fits its vocabulary.
 *
 * @param wanted a built-in name, or the path of a file with a Jinja template; null for no wish.
 * @throws CwmError PathNotFound when that file cannot be read, InvalidConfig when it is no template, NotAModel when the
 *   model's own is none.
 */
export function chooseTemplate(info: ModelInfo, wanted: string | null): ChosenTemplate {
  if (wanted !== null && !isBuiltInTemplate(wanted)) {
    const source = readTemplate(wanted);
    const notice = `Chats are rendered with the template of ${wanted}.`;
    return { template: parse(source, `The chat template of ${wanted}`, 'InvalidConfig'), stopStrings: [], notice };
  }
  if (wanted === null && info.chatTemplate !== null) {
    const template = parse(info.chatTemplate, "The model's chat template", 'NotAModel');
    return { template, stopStrings: [], notice: null };
  }
  const name = wanted ?? templateForMarkers(info.markers);
  const { source, markers, end } = builtInTemplates[name];
  const isKnown = markers.every((marker) => info.markers.includes(marker));
  const why = wanted === null ? 'The model has no chat template' : 'As set';
  const doubt = isKnown
    ? ''
    : ' Its vocabulary has no tokens for it, so the model may not have been made for conversations.';
  return {
    template: new Template(source),
    stopStrings: info.markers.includes(end) ? [] : [end],
    notice: `${why}: chats are rendered with the built-in template "${name}".${doubt}`,
  };
}

function readTemplate(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    const known = Object.keys(builtInTemplates).join(', ');
    throw new CwmError('PathNotFound', `The chat template ${path} cannot be read.`, {
      cause,
      hint: `Name a file with a Jinja template, or one of ${known}.`,
    });
  }
}

function parse(source: string, what: string, fault: 'InvalidConfig' | 'NotAModel'): Template {
  try {
    return new Template(source);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new CwmError(fault, `${what} is broken: ${reason}`, {
      cause,
      hint: 'Set another chat template (cwm.embedded.chatTemplate), for example "chatml".',
    });
  }
}
