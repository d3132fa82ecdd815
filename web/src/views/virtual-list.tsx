import type { ComponentChildren, RefObject } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";

/** Rows beyond the visible ones, so that a quick scroll does not show their lack. */
const MARGIN = 6;

interface ListProps<Item> {
  readonly label: string;
  readonly items: readonly Item[];
  /** Pixels. */
  readonly rowHeight: number;
  readonly keyOf: (item: Item) => string;
  readonly render: (item: Item) => ComponentChildren;
}

interface ChoiceProps<Item> extends ListProps<Item> {
  /** Begins the ids of the rows. */
  readonly id: string;
  readonly chosen: string | undefined;
  readonly onChoose: (key: string) => void;
}

/**
 * A list of any length of which only the rows in sight are elements. New items come first: what is
 * looked at stays where it is.
 */
export function VirtualList<Item>(props: ListProps<Item>) {
  const { label, items, rowHeight, render } = props;
  const box = useRef<HTMLElement>(null);
  const { first, last, slots } = useRowsInSight(box, items.length, rowHeight);
  useAnchor(box, props);
  return (
    // It scrolls, so that the keyboard has to get there.
    // biome-ignore lint/a11y/noNoninteractiveTabindex: as said above
    <section ref={box} class="virtual" tabIndex={0} aria-label={label}>
      <ul style={{ height: `${items.length * rowHeight}px` }}>
        {items.slice(first, last).map((item, offset) => (
          <li
            // Of rows that new ones push down only the place changes.
            key={(items.length - first - offset) % slots}
            class="virtual-row"
            style={placeOf(first + offset, rowHeight)}
            aria-setsize={items.length}
            aria-posinset={first + offset + 1}
          >
            {render(item)}
          </li>
        ))}
      </ul>
    </section>
  );
}

/** As {@link VirtualList}; one item is chosen, by the arrow keys, too. */
export function VirtualListBox<Item>(props: ChoiceProps<Item>) {
  const { id, label, items, rowHeight, keyOf, render, onChoose } = props;
  const box = useRef<HTMLDivElement>(null);
  const { first, last, page, slots } = useRowsInSight(box, items.length, rowHeight);
  const chosen = items.findIndex((item) => keyOf(item) === props.chosen);
  const choose = (wanted: number) => {
    const index = Math.min(Math.max(wanted, 0), items.length - 1);
    const item = items[index];
    if (item === undefined) return;
    onChoose(keyOf(item));
    reveal(box.current, index, rowHeight);
  };
  const handleKey = (event: KeyboardEvent) => {
    const target = keyTarget(event.key, chosen, items.length, page);
    if (target === undefined) return;
    event.preventDefault();
    choose(target);
  };
  const handleClick = ({ clientY }: MouseEvent) => {
    const element = box.current;
    if (element === null) return;
    const y = clientY - element.getBoundingClientRect().top + element.scrollTop;
    if (y < items.length * rowHeight) choose(Math.floor(y / rowHeight));
  };
  return (
    <div
      ref={box}
      class="virtual"
      role="listbox"
      tabIndex={0}
      aria-label={label}
      aria-activedescendant={chosen >= first && chosen < last ? `${id}-${chosen}` : undefined}
      onClick={handleClick}
      onKeyDown={handleKey}
    >
      <div role="presentation" style={{ height: `${items.length * rowHeight}px` }}>
        {items.slice(first, last).map((item, offset) => (
          <div
            key={(first + offset) % slots}
            id={`${id}-${first + offset}`}
            class="virtual-row"
            style={placeOf(first + offset, rowHeight)}
            role="option"
            tabIndex={-1}
            aria-setsize={items.length}
            aria-posinset={first + offset + 1}
            aria-selected={first + offset === chosen}
          >
            {render(item)}
          </div>
        ))}
      </div>
    </div>
  );
}

function placeOf(index: number, rowHeight: number) {
  return { height: `${rowHeight}px`, transform: `translateY(${index * rowHeight}px)` };
}

type Box = RefObject<HTMLElement | null>;

function useRowsInSight(box: Box, length: number, rowHeight: number) {
  const [{ top, height }, setViewport] = useState({ top: 0, height: 600 });
  useLayoutEffect(() => {
    const element = box.current;
    if (element === null) return;
    const look = () => setViewport({ top: element.scrollTop, height: element.clientHeight });
    look();
    const observer = new ResizeObserver(look);
    observer.observe(element);
    element.addEventListener("scroll", look, { passive: true });
    return () => {
      observer.disconnect();
      element.removeEventListener("scroll", look);
    };
  }, [box]);
  return {
    first: Math.min(Math.max(0, Math.floor(top / rowHeight) - MARGIN), Math.max(0, length - 1)),
    last: Math.min(length, Math.ceil((top + height) / rowHeight) + MARGIN),
    page: Math.max(1, Math.floor(height / rowHeight)),
    // Rows that scroll out are used again for those that scroll in.
    slots: Math.ceil(height / rowHeight) + 2 * MARGIN + 2,
  };
}

/** Scrolls along with rows that new ones above push down, unless the newest are in sight. */
function useAnchor<Item>(box: Box, { items, keyOf, rowHeight }: ListProps<Item>): void {
  const newest = useRef<string | undefined>(undefined);
  const [first] = items;
  const key = first === undefined ? undefined : keyOf(first);
  useEffect(() => {
    const before = newest.current;
    newest.current = key;
    const element = box.current;
    if (element === null || before === undefined || before === key) return;
    if (element.scrollTop < rowHeight) return;
    const added = items.findIndex((item) => keyOf(item) === before);
    if (added > 0) element.scrollTop += added * rowHeight;
  }, [key]);
}

function reveal(element: HTMLElement | null, index: number, rowHeight: number): void {
  if (element === null) return;
  const top = index * rowHeight;
  const lowest = top + rowHeight - element.clientHeight;
  if (element.scrollTop > top) element.scrollTop = top;
  else if (element.scrollTop < lowest) element.scrollTop = lowest;
}

function keyTarget(key: string, chosen: number, length: number, page: number): number | undefined {
  const targets: Readonly<Record<string, number>> = {
    ArrowDown: chosen + 1,
    ArrowUp: chosen - 1,
    PageDown: chosen + page,
    PageUp: chosen - page,
    Home: 0,
    End: length - 1,
  };
  return targets[key];
}
