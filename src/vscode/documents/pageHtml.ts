import type { Uri, Webview } from 'vscode';

/** The frame of the reading view and of the memory view. Everything in it is made by the page's script; nothing but that and its style sheet is loaded. */
export const pageHtml = ({ cspSource }: Webview, script: Uri, style: Uri, title: string): string => `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src ${cspSource}; style-src ${cspSource};">
<meta name="viewport" content="width=device-width">
<link rel="stylesheet" href="${String(style)}">
<title>${title}</title>
</head>
<body><script type="module" src="${String(script)}"></script></body>
</html>`;
