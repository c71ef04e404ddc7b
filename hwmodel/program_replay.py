"""The dispatcher, the fetch and the DMA cycle by cycle, with words that take as long as they take.

What the words of the matrix and vector unit take is known in closed form (`product_cycles`,
`vector_cycles`). When they are taken depends on queues, semaphores and the bus, which this replays
as `rtl.dispatcher`, `rtl.program_fetch`, `rtl.dma` and the memory of the simulation have them. No
data is involved. Nothing but `hwmodel.program_cycles` imports this file: it needs numba.
"""

import numpy as np
from numba import njit

__all__ = ["replay"]

_UNITS = 3
_DMA = 2
_CONTROL = 3
_QUEUE = 8
_PAIRS = 8
_FETCH_DEPTH = 32
_BURST_WORDS = 8
_BURSTS = 4
_BURST_LINES = 64
_BOUNDARY = 4096
_STORE_QUEUE = 8
_READ_LATENCY = 3

# States of the DMA.
_TAKE, _MOVE, _COMPLETE = 0, 1, 2


@njit(cache=True, error_model="numpy")
def replay(
    unit, next_taken, complete_after, waits, signals, is_store, outside, lines, line_bytes,
    latency, limit, taken, complete, held_up,
):  # fmt: skip
    """Fill `taken` and `complete` of every word, and `held_up` of every unit: cycles in which the
    dispatcher stood before its full queue. Returns the cycles of the program, -1 if more than
    `limit`, -2 if a semaphore holds too many signals.

    Parameters
    ----------
    unit:
        0 matrix, 1 vector, 2 DMA, 3 control.
    next_taken, complete_after:
        Cycles behind the one in which a word is taken; not used for the DMA.
    waits, signals:
        Masks of semaphores.
    is_store, outside, lines:
        Of the DMA's words: direction, address outside, lines.
    line_bytes, latency:
        Bytes of a beat, and cycles from an address that the memory takes to the first beat.
    """
    words = unit.shape[0]
    counts = np.zeros(_PAIRS, np.int64)
    # Queues of word numbers.
    queue = np.zeros((_UNITS, _QUEUE), np.int64)
    head = np.zeros(_UNITS, np.int64)
    level = np.zeros(_UNITS, np.int64)
    granted = np.zeros(4, np.bool_)
    free_at = np.zeros(_UNITS, np.int64)
    # Signals that are still to come: the matrix unit's products overlap.
    pending = np.zeros((_UNITS, 64), np.int64)
    pending_word = np.zeros((_UNITS, 64), np.int64)
    p_head = np.zeros(_UNITS, np.int64)
    p_count = np.zeros(_UNITS, np.int64)

    # Fetch.
    room = _FETCH_DEPTH
    asked = 0
    asking = False
    available = 0
    next_word = 0
    arrived = 0
    word_beats = max(16 // line_bytes, 1)
    beats_of_word = 0
    burst_beats = _BURST_WORDS * 16 // line_bytes
    double = line_bytes > 16
    full = False

    # Reads that the memory has to serve: beats left, when the first may come, who asked.
    r_left = np.zeros(_BURSTS, np.int64)
    r_time = np.zeros(_BURSTS, np.int64)
    r_dma = np.zeros(_BURSTS, np.bool_)
    r_head = 0
    r_count = 0
    held = False
    kept_dma = False

    # DMA.
    state = _TAKE
    dma_word = 0
    offer = False
    burst = 0
    address = 0
    to_ask = 0
    to_move = 0
    due = 0
    beats = 0
    unanswered = 0
    s_room = _STORE_QUEUE
    s_level = 0
    arriving = np.zeros(_READ_LATENCY, np.int64)
    w_active = False
    w_left = 0
    b_time = np.zeros(_BURSTS, np.int64)
    b_head = 0
    b_count = 0

    now = 0
    while now < limit:
        # Everything below looks at the state at the beginning of the cycle.
        raised = np.zeros(_PAIRS, np.int64)
        taken_from = np.zeros(_PAIRS, np.int64)

        # Completions of matrix and vector words in this cycle.
        for u in range(_UNITS):
            while p_count[u] and pending[u, p_head[u]] == now:
                w = pending_word[u, p_head[u]]
                for s in range(_PAIRS):
                    if (signals[w] >> s) & 1:
                        raised[s] += 1
                p_head[u] = (p_head[u] + 1) % 64
                p_count[u] -= 1

        # Heads: one grant a cycle.
        free = True
        own = available > 0 and unit[next_word] == _CONTROL
        go = np.zeros(4, np.bool_)
        for k in range(4):
            if k < _UNITS:
                if level[k] == 0:
                    continue
                w = queue[k, head[k]]
            else:
                if not own:
                    continue
                w = next_word
            if granted[k] or waits[w] == 0:
                go[k] = True
                continue
            able = True
            for s in range(_PAIRS):
                if (waits[w] >> s) & 1 and counts[s] == 0:
                    able = False
            if able:
                if free:
                    go[k] = True
                    granted[k] = True
                    for s in range(_PAIRS):
                        if (waits[w] >> s) & 1:
                            taken_from[s] += 1
                free = False

        # Units take words. The level that the dispatcher sees is that of the cycle's beginning.
        level_seen = level.copy()
        dma_taken = False
        for k in range(_UNITS):
            if not go[k] or free_at[k] > now or (k == _DMA and state != _TAKE):
                continue
            w = queue[k, head[k]]
            head[k] = (head[k] + 1) % _QUEUE
            level[k] -= 1
            granted[k] = False
            taken[w] = now
            if k == _DMA:
                dma_taken = True
                dma_word = w
            else:
                free_at[k] = now + next_taken[w]
                complete[w] = now + complete_after[w]
                if signals[w]:
                    slot = (p_head[k] + p_count[k]) % 64
                    pending[k, slot] = complete[w]
                    pending_word[k, slot] = w
                    p_count[k] += 1

        # The dispatcher.
        moved = False
        ended = False
        if available > 0:
            u = unit[next_word]
            if u < _UNITS:
                if level_seen[u] < _QUEUE:
                    queue[u, (head[u] + level[u]) % _QUEUE] = next_word
                    level[u] += 1
                    moved = True
                else:
                    held_up[u] += 1
            elif go[3]:
                idle = state == _TAKE and not dma_taken
                for k in range(_UNITS):
                    if level_seen[k] or free_at[k] > now or p_count[k]:
                        idle = False
                if idle:
                    taken[next_word] = now
                    complete[next_word] = now
                    ended = True
        if ended:
            # One cycle more to stop, and one for the fetch to forget the rest.
            return now + 3
        if moved:
            next_word += 1

        # The memory's read channel: one beat.
        fetch_last = False
        fetch_beat = False
        dma_beat = False
        pushed = 0
        if full:
            pushed = 1
        if r_count and r_time[r_head] <= now:
            if r_dma[r_head]:
                dma_beat = True
            elif not (double and full):
                fetch_beat = True
            if dma_beat or fetch_beat:
                r_left[r_head] -= 1
                fetch_last = r_left[r_head] == 0
        if double:
            full_next = fetch_beat and not full
            if fetch_beat:
                pushed = 1
            full = full_next
        elif fetch_beat:
            beats_of_word += 1
            if beats_of_word == word_beats:
                beats_of_word = 0
                pushed = 1

        # Addresses: the fetch goes first, an address that was offered stands.
        dma_arvalid = offer and not is_store[dma_word] and state == _MOVE
        choose_dma = kept_dma if held else not asking
        arvalid = dma_arvalid if choose_dma else asking
        accepted_read = arvalid and r_count != _BURSTS
        held = arvalid and not accepted_read
        kept_dma = choose_dma
        fetch_accepted = accepted_read and not choose_dma
        dma_accepted = accepted_read and choose_dma
        slot = (r_head + r_count) % _BURSTS
        if accepted_read:
            r_left[slot] = burst_beats if fetch_accepted else burst
            r_time[slot] = now + latency
            r_dma[slot] = dma_accepted
        r_count += accepted_read
        if fetch_last and (dma_beat or fetch_beat):
            r_head = (r_head + 1) % _BURSTS
            r_count -= 1

        # Write channel.
        sent = False
        answered = b_count > 0 and b_time[b_head] <= now
        ends = False
        aw_accepted = (
            state == _MOVE and offer and is_store[dma_word] and not w_active and b_count != _BURSTS
        )
        if beats > 0 and s_level > 0 and w_active:
            sent = True
            w_left -= 1
            if w_left == 0:
                ends = True

        # DMA, next state.
        accepted = dma_accepted or aw_accepted
        fetched = state == _MOVE and is_store[dma_word] and to_move > 0 and s_room > 0
        s_arrives = arriving[_READ_LATENCY - 1]
        for k in range(_READ_LATENCY - 1, 0, -1):
            arriving[k] = arriving[k - 1]
        arriving[0] = 1 if fetched else 0
        old_offer, old_ask, old_move = offer, to_ask, to_move
        old_beats, old_due, old_unanswered = beats, due, unanswered
        # The next burst's length is of what was asked for until now.
        longest = (_BOUNDARY - address % _BOUNDARY) // line_bytes
        planned = min(old_ask, min(longest, _BURST_LINES))
        if state == _TAKE:
            if dma_taken:
                state = _MOVE
                address = outside[dma_word]
                to_ask = lines[dma_word]
                to_move = lines[dma_word]
                s_room = _STORE_QUEUE
        elif state == _MOVE:
            if accepted:
                offer = False
                address += burst * line_bytes
                to_ask -= burst
            if not old_offer and old_ask != 0 and (not is_store[dma_word] or old_beats == 0):
                burst = planned
                offer = True
            if dma_beat or fetched:
                to_move -= 1
            settled = not old_offer and old_due == 0 and old_beats == 0 and old_unanswered == 0
            if old_ask == 0 and old_move == 0 and settled:
                state = _COMPLETE
        elif state == _COMPLETE:
            complete[dma_word] = now
            for s in range(_PAIRS):
                if (signals[dma_word] >> s) & 1:
                    raised[s] += 1
            state = _TAKE
        due += (burst if dma_accepted else 0) - (1 if dma_beat else 0)
        unanswered += (1 if aw_accepted else 0) - (1 if answered else 0)
        if state != _TAKE or not dma_taken:
            s_room += (1 if sent else 0) - (1 if fetched else 0)
        s_level += s_arrives - (1 if sent else 0)
        if aw_accepted:
            beats = burst
            w_active = True
            w_left = burst
        elif sent:
            beats -= 1
        if ends:
            w_active = False
            b_time[(b_head + b_count) % _BURSTS] = now + latency
        b_count += (1 if ends else 0) - (1 if answered else 0)
        if answered:
            b_head = (b_head + 1) % _BURSTS

        # Fetch, next state.
        reserve = not asking and asked < words and room >= _BURST_WORDS
        if asking and fetch_accepted:
            asking = False
            asked += _BURST_WORDS
        if reserve:
            asking = True
            room -= _BURST_WORDS
        if moved:
            room += 1
            available -= 1
        if pushed and arrived < words:
            arrived += 1
            available += 1

        for s in range(_PAIRS):
            counts[s] += raised[s] - taken_from[s]
            if counts[s] > 63:
                return -2
        now += 1
    return -1
