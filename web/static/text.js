/** Text of messages as nodes: web and mail addresses become links. Nothing is markup. */
import { el } from './dom.js';

// Addresses may be written in any script (RFC 3987). Spaces, quotes and the punctuation
// of Chinese and Japanese text end them.
const link = /(?:https?:\/\/|www\.)[^\s<>"`\u200b-\u200f\u2028-\u202e\u2066-\u2069，。、；：！？「」『』（）【】《》〈〉“”‘’…]+|[\p{L}\p{N}][\p{L}\p{N}._%+-]{0,63}@[\p{L}\p{N}-]{1,63}(?:\.[\p{L}\p{N}-]{1,63})+/giu;
const brackets = { ')': '(', ']': '[', '}': '{' };
const one = '(?:\\p{Emoji_Presentation}|\\p{Extended_Pictographic}\\ufe0f)\\p{Emoji_Modifier}?';
const emoji = new RegExp(`^(?:${one}(?:\\u200d${one})*|\\p{Regional_Indicator}{2}|[#*0-9]\\ufe0f\\u20e3){1,3}$`, 'u');

/** An address without what belongs to the sentence: a full stop, or a bracket that it did not open. */
function bare(address) {
  const open = {}; // closing bracket -> how many more are closed than opened
  for (const [close, opening] of Object.entries(brackets)) {
    open[close] = address.split(close).length - address.split(opening).length;
  }
  let end = address.length;
  for (; end > 0; end--) {
    const c = address[end - 1];
    if (c in brackets ? open[c]-- <= 0 : !/[.,;:!?'*_~]/.test(c)) break;
  }
  return address.slice(0, end);
}

function target(address) {
  if (/^https?:/i.test(address)) return address;
  return /^www\./i.test(address) ? `https://${address}` : `mailto:${address}`;
}

export function linked(text) {
  const nodes = [];
  let from = 0;
  for (const match of text.matchAll(link)) {
    const before = text[match.index - 1] ?? ' ';
    const address = bare(match[0]);
    const href = target(address);
    const whole = /^https?:\/\/./i.test(address) || !/[\w@./]/.test(before); // not within a word
    if (!whole || !URL.canParse(href) || /^www\.[^.]*$/i.test(address)) continue;
    nodes.push(text.slice(from, match.index));
    nodes.push(el('a', { href, target: '_blank', rel: 'noopener noreferrer' }, address));
    from = match.index + address.length;
  }
  nodes.push(text.slice(from));
  return nodes;
}

/** The text is one to three emoji and nothing else. */
export const onlyEmoji = (text) => emoji.test(text);
