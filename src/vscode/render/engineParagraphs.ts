import type { EngineWords } from '../../words/health.ts';
import { markdownList, plain } from '../../words/markdown.ts';

/** What is known of a model server, as markdown. */
export const engineParagraphs = ({ spec, status, notices }: EngineWords): string[] => [
  `**${plain(spec)}** ${plain(status)}`,
  markdownList(notices),
];
