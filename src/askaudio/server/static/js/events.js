// What the modules tell each other. A module listens to what it needs and knows no module above it.
//
//   state       what is looked for has changed                 controls, chips
//   query       after that: search for it                      search
//   hits        the list shows other hits                      rows, player
//   loaded      more hits of the list are loaded               rows
//   total       the number of hits is known better now         search
//   row         a row came into sight: {li, hit, place}        selection; whoever adds something to rows
//   failed      hits of the list cannot be loaded              search
//   focus       another row is the current one                 detail
//   selection   other rows are selected                        selection bar, panels
//   playing     the player began, paused, ended or stopped     rows
//   time        the player's position changed                  waveforms
//   collection  facts about the collection were read           panels
//   library     what is kept has changed                       panels
//   theme       light or dark                                  waveforms
//   token       the token was taken                            search

const listeners = new Map();

/** Call `listener(data)` at each event of this name. */
export function on(name, listener) {
  listeners.set(name, [...(listeners.get(name) ?? []), listener]);
}

/** Call all listeners of an event; resolves when those that are asynchronous are done. */
export const emit = (name, data) => Promise.all((listeners.get(name) ?? []).map((listener) => listener(data)));
