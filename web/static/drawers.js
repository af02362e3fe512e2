/** On small screens the two lists are drawers; one at most is open, and has the focus. */
import { $ } from './dom.js';

const wide = matchMedia('(min-width: 64.01rem)');
const names = ['rooms', 'people'];

export class Drawers {
  #open = '';

  constructor() {
    for (const name of names) $(`show-${name}`).addEventListener('click', () => this.show(name));
    $('shade').addEventListener('click', () => this.show(''));
    for (const button of document.querySelectorAll('.close')) button.addEventListener('click', () => this.show(''));
    addEventListener('keydown', (e) => e.key === 'Escape' && this.show(''));
    const fit = () => {
      $('show-people').disabled = wide.matches; // both lists are beside the messages
      this.show('');
    };
    wide.addEventListener('change', fit);
    fit();
  }

  /** Opens a drawer, or closes the one that is open. */
  show(name) {
    const was = this.#open;
    this.#open = name === was ? '' : name;
    if (this.#open === was) return;
    for (const id of names) $(id).classList.toggle('out', id === this.#open);
    $('shade').hidden = !this.#open;
    for (const id of ['room', ...names]) $(id).inert = !!this.#open && id !== this.#open;
    if (this.#open) $(this.#open).querySelector('[aria-current], .close').focus({ preventScroll: true });
    else if (was) $(`show-${was}`).focus({ preventScroll: true });
  }
}
