import { readableLine } from '../base/readableText.ts';
import type { ProjectResolution } from '../protocol/schemas/projectConfig.ts';

/** How a project was found. */
export const tierWords: Readonly<Record<ProjectResolution['tier'], string>> = {
  explicit: 'named',
  config: 'by its configuration',
  registry: 'known folder',
  default: 'a folder that nothing is stored of',
};

/** Which project an answer is about, and how that was found. */
export const projectLine = ({ name, tier, configPath }: ProjectResolution): string =>
  `Project ${readableLine(name)} (${tierWords[tier]}${configPath === null ? '' : `, ${configPath}`})`;
