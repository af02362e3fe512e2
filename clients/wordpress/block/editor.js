// The block in the editor: the name of its room.
(function (wp) {
  const { createElement } = wp.element;

  wp.blocks.registerBlockType('roomtide/chat', {
    edit: ({ attributes, setAttributes }) => createElement(
      'div',
      wp.blockEditor.useBlockProps(),
      createElement(wp.components.TextControl, {
        label: 'Chat room', value: attributes.room, onChange: (room) => setAttributes({ room }),
      }),
    ),
    save: () => null, // the server renders it
  });
})(window.wp);
