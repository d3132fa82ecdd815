// SPDX-License-Identifier: MIT
/*
 * The kernel's half of the eBPF data plane (docs/architecture.md). Programs for tc or tcx:
 *
 *   uplink_in    ingress of an uplink: counts plain payload; takes the payload extension header
 *                off and puts the ULIDs back; translates ICMPv6 errors about rewritten packets
 *   uplink_out   egress of an uplink: counts plain payload; what is to be rewritten and came
 *                here all the same goes to the ULID device
 *   ulid_device  behind the ULID device, where the kernel has cut super-packets up: puts the
 *                payload extension header in and sends the packet out by its locators' uplink
 *
 * Each in a form for links with Ethernet headers and one (…_raw) for links without.
 */
#include "shim6.h"
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in6.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define AF_INET6 10

/** Lets programs and filters of others have their say: TCX_NEXT, TC_ACT_UNSPEC. */
#define PASS -1
#define DROP TC_ACT_SHOT

#define IPV6_LENGTH 40
#define SHIM6_LENGTH 8
#define UDP_LENGTH 8
#define ICMP_LENGTH 8
#define NEXT_HEADER 6
#define MINIMUM_MTU 1280

#define PROTOCOL_HOP_BY_HOP 0
#define PROTOCOL_TCP 6
#define PROTOCOL_UDP 17
#define PROTOCOL_DCCP 33
#define PROTOCOL_ROUTING 43
#define PROTOCOL_FRAGMENT 44
#define PROTOCOL_AUTHENTICATION 51
#define PROTOCOL_ICMPV6 58
#define PROTOCOL_DESTINATION 60
#define PROTOCOL_SCTP 132
#define PROTOCOL_UDPLITE 136
#define PROTOCOL_SHIM6 140

#define ICMP_UNREACHABLE 1
#define ICMP_TOO_BIG 2
#define ICMP_TIME_EXCEEDED 3
#define ICMP_PARAMETER_PROBLEM 4
#define ICMP_FIRST_INFORMATIONAL 128
#define CODE_PORT_UNREACHABLE 4
#define CODE_NEXT_HEADER 1

/** Extension headers that stand before the Shim6 header, at most, and their octets. */
#define HEADERS_MAX 4
#define EXTENSIONS_MAX 256
/** Of a whole packet: MAX_EXTENSION_HEADERS of src/wire/ipv6.ts. */
#define CHAIN_MAX 16

/** Says again what the compiler knows and the verifier has forgotten: 1 to `most`. */
#define BOUND(length, most)                                                                        \
	do {                                                                                       \
		asm volatile("" : "+r"(length));                                                   \
		if (length < 1 || length > (most))                                                 \
			return -1;                                                                 \
	} while (0)

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct pair);
	__type(value, struct pair_state);
} pairs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, __u64);
	__type(value, struct tagged);
} tags SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct peer_tag);
	__type(value, struct tagged);
} peer_tags SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct fork_key);
	__type(value, struct fork);
} forks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 65536);
	__type(key, __u32);
	__type(value, struct record);
} records SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, struct pair);
	__type(value, struct candidate);
} candidates SEC(".maps");

/** The host's own addresses. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 4096);
	__type(key, struct address);
	__type(value, __u32);
} locals SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct settings);
} settings SEC(".maps");

/**
 * By processor, and there by a digest of the pair. Without it half of what a packet of such a pair
 * costs is to look into `pairs`, and half of the rest that processors take records from each other.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, REMEMBERED_MAX);
	__type(key, __u32);
	__type(value, struct remembered);
} remembered SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, COUNTERS);
	__type(key, __u32);
	__type(value, __u64);
} counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} events SEC(".maps");

struct extensions {
	__u8 octets[EXTENSIONS_MAX];
};

/** Room for extension headers while a packet is moved about. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct extensions);
} scratch SEC(".maps");

static __always_inline void count(enum counter reason)
{
	__u32 key = reason;
	__u64 *value = bpf_map_lookup_elem(&counters, &key);

	if (value)
		*value += 1;
}

static __always_inline struct settings *own_settings(void)
{
	__u32 key = 0;

	return bpf_map_lookup_elem(&settings, &key);
}

/** By this uplink the shim's own packets and the payload of contexts get lost now. */
static __always_inline int is_drilled(const struct __sk_buff *skb)
{
	struct settings *own = own_settings();

	return own && own->drilled_link == skb->ifindex && bpf_ktime_get_ns() < own->drilled_until;
}

/** 2000::/3 and fc00::/7. */
static __always_inline int is_unicast(const struct address *address)
{
	__u8 octet = ((const __u8 *)address)[0];

	return (octet & 0xe0) == 0x20 || (octet & 0xfe) == 0xfc;
}

static __always_inline int is_link_icmp(__u8 type)
{
	return (type >= 130 && type <= 137) || type == 143;
}

/* Records */

/** Segments that a super-packet of offload stands for. */
static __always_inline __u32 packets_of(struct __sk_buff *skb)
{
	__u32 segments = skb->gso_segs;

	return segments ? segments : 1;
}

static __always_inline struct record *record_of(__u32 slot)
{
	return bpf_map_lookup_elem(&records, &slot);
}

/** It may be the first packet since the last one the other way. */
static __always_inline void consider_first(struct flow *flow, __u64 time, __u64 limit)
{
	if (time <= limit) {
		if (time > flow->recent)
			flow->recent = time;
	} else if (flow->first <= limit || time < flow->first) {
		flow->first = time;
	}
}

/**
 * A packet has gone, and maybe others before it of which the record has not heard.
 * @param before when the last of those went, 0 for none
 */
static __always_inline void tell_flow(struct flow *flow, const struct flow *other, __u64 before,
				      __u64 now)
{
	struct settings *own = own_settings();
	__u64 limit = other->last + (own ? own->telling_interval : 0);

	if (limit < flow->marked)
		limit = flow->marked;
	consider_first(flow, before, limit);
	consider_first(flow, now, limit);
	if (now > flow->last)
		flow->last = now;
}

static __always_inline void add_to_flow(struct flow *flow, __u64 packets, __u64 octets)
{
	__sync_fetch_and_add(&flow->packets, packets);
	__sync_fetch_and_add(&flow->bytes, octets);
}

/* Events */

static __always_inline void fill_event(struct event *event, enum event_kind kind, __u64 now,
				       const struct pair *addresses)
{
	event->kind = kind;
	event->length = 0;
	event->time = now;
	event->tag = 0;
	event->addresses = *addresses;
	event->slot = NO_SLOT;
	event->tagged = 0;
}

static __always_inline struct event *begin_event(enum event_kind kind, __u64 now,
						 const struct pair *addresses)
{
	struct event *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);

	if (!event) {
		count(EVENT_LOST);
		return 0;
	}
	fill_event(event, kind, now, addresses);
	return event;
}

#define PACKET_EVENT(name, size)                                                                  \
	struct name {                                                                              \
		struct event event;                                                                \
		__u8 octets[size];                                                                 \
	};                                                                                         \
	static __noinline int raise_##name(struct __sk_buff *skb, __u32 l2, __u32 kind,            \
					   __u32 slot, const struct pair *addresses)               \
	{                                                                                          \
		struct name *record;                                                               \
		__u32 length = skb->len - l2;                                                      \
                                                                                                   \
		record = bpf_ringbuf_reserve(&events, sizeof(*record), 0);                         \
		if (!record) {                                                                     \
			count(EVENT_LOST);                                                         \
			return -1;                                                                 \
		}                                                                                  \
		fill_event(&record->event, kind, bpf_ktime_get_ns(), addresses);                   \
		record->event.slot = slot;                                                         \
		if (length > size)                                                                 \
			length = size;                                                             \
		/* The same number, in a form that every verifier believes. */                     \
		asm volatile("" : "+r"(length));                                                   \
		length = ((length - 1) & (size - 1)) + 1;                                          \
		if (bpf_skb_load_bytes(skb, l2, record->octets, length) < 0) {                     \
			bpf_ringbuf_discard(record, 0);                                            \
			return -1;                                                                 \
		}                                                                                  \
		record->event.length = length;                                                     \
		bpf_ringbuf_submit(record, 0);                                                     \
		return 0;                                                                          \
	}

/** Ethernet's usual packets, and those of a jumbo link; the sizes are powers of 2. */
PACKET_EVENT(packet, 2048)
PACKET_EVENT(long_packet, 16384)

/* Headers */

/** Where the Shim6 header is or goes, from the IPv6 header on. */
struct place {
	__u32 at;
	/** The Next Header octet that names what stands there, and what that is. */
	__u32 field;
	/* As wide as the others: padding that nobody wrote may not be copied. */
	__u32 protocol;
	/** Where the packet ends by its own Payload Length. */
	__u32 end;
};

static __always_inline int is_routing_sublayer(__u8 protocol, __u32 at)
{
	if (protocol == PROTOCOL_HOP_BY_HOP)
		return at == IPV6_LENGTH;
	return protocol == PROTOCOL_ROUTING || protocol == PROTOCOL_DESTINATION;
}

/**
 * Walks over the headers that may stand before a Shim6 header. With `inserting` it ends where one
 * belongs (RFC 5533 section 4.6): Destination Options only count where a Routing header follows.
 * @returns 0, or -1 for a packet that ends in a header, or has more of them, or longer ones, than
 *   HEADERS_MAX and EXTENSIONS_MAX allow
 */
static __noinline int walk(struct __sk_buff *skb, __u32 l2, __u32 inserting, struct place *place)
{
	struct place here;
	__u8 header[2];

	here = *place;
	for (int i = 0; i < HEADERS_MAX; i++) {
		__u8 protocol = here.protocol;

		if (!is_routing_sublayer(protocol, here.at))
			break;
		if (bpf_skb_load_bytes(skb, l2 + here.at, header, sizeof(header)) < 0)
			return -1;
		here.field = here.at;
		here.at += 8 * (header[1] + 1);
		here.protocol = header[0];
		if (here.at > here.end)
			return -1;
		if (!inserting || protocol != PROTOCOL_DESTINATION)
			*place = here;
	}
	if (place->at > IPV6_LENGTH + EXTENSIONS_MAX)
		return -1;
	if (inserting)
		return is_routing_sublayer(here.protocol, here.at) ? -1 : 0;
	return here.protocol == PROTOCOL_SHIM6 ? 0 : -1;
}

static __always_inline void begin_walk(struct place *place, const struct ipv6hdr *header)
{
	place->at = IPV6_LENGTH;
	place->field = NEXT_HEADER;
	place->protocol = header->nexthdr;
	place->end = IPV6_LENGTH + bpf_ntohs(header->payload_len);
}

/**
 * Octets of the packet as the ULP has it: a short frame's padding is the link's. Only
 * super-packets may be longer than their Payload Length can say.
 */
static __always_inline __u32 octets_of(struct __sk_buff *skb, __u32 l2,
				       const struct ipv6hdr *header)
{
	__u32 length = bpf_ntohs(header->payload_len);

	return length || !skb->gso_segs ? IPV6_LENGTH + length : skb->len - l2;
}

static __always_inline void set_addresses(struct ipv6hdr *header, const struct address *source,
					  const struct address *destination)
{
	*(struct address *)&header->saddr = *source;
	*(struct address *)&header->daddr = *destination;
}

/** The 48 bits behind Next Header, Hdr Ext Len and P. */
static __always_inline __u64 tag_of(const __u8 *header)
{
	__u64 tag = header[2] & 0x7f;

	for (int i = 3; i < SHIM6_LENGTH; i++)
		tag = tag << 8 | header[i];
	return tag;
}

/** Directly where the header is in the packet's linear part, as it is in all but odd packets. */
static __always_inline int load_header(struct __sk_buff *skb, __u32 l2, struct ipv6hdr *header)
{
	const void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;

	if (data + l2 + sizeof(*header) > end)
		return bpf_skb_load_bytes(skb, l2, header, sizeof(*header));
	*header = *(const struct ipv6hdr *)(data + l2);
	return 0;
}

/**
 * Reads the IPv6 header of a packet with payload between unicast addresses.
 * @returns 0, or -1 for what is none of our business
 */
static __always_inline int read_header(struct __sk_buff *skb, __u32 l2, struct ipv6hdr *header)
{
	if (skb->protocol != bpf_htons(ETH_P_IPV6) || skb->vlan_present)
		return -1;
	if (load_header(skb, l2, header) < 0 || header->version != 6)
		return -1;
	if (!is_unicast((struct address *)&header->saddr))
		return -1;
	return is_unicast((struct address *)&header->daddr) ? 0 : -1;
}

/** Payload as the shim counts it: no ICMPv6 errors, no neighbour or listener discovery. */
static __always_inline int is_ulp(struct __sk_buff *skb, __u32 l2, const struct ipv6hdr *header)
{
	__u8 type;

	if (header->nexthdr != PROTOCOL_ICMPV6)
		return 1;
	if (bpf_skb_load_bytes(skb, l2 + IPV6_LENGTH, &type, 1) < 0)
		return 0;
	return type >= ICMP_FIRST_INFORMATIONAL && !is_link_icmp(type);
}

/**
 * User space reads no record of a context whose payload rests: the next packet, either way, tells
 * it to. Without room for the event the packet after that one does.
 */
static __always_inline void tell_resumed(struct record *record, __u32 slot, __u64 now,
					 const struct pair *ulids)
{
	struct event *event;

	if (!record->awaited)
		return;
	event = begin_event(EVENT_TRAFFIC_RESUMED, now, ulids);
	if (!event)
		return;
	event->slot = slot;
	record->awaited = 0;
	bpf_ringbuf_submit(event, 0);
}

/* Pairs */

enum standing {
	WITHOUT_CONTEXT,
	/** In the null mapping: packets leave as they are. */
	OBSERVED,
	/** Some packets at least leave on other locators. */
	REWRITTEN,
};

static __always_inline __u32 current_generation(void)
{
	struct settings *own = own_settings();

	return own ? *(volatile __u32 *)&own->generation : 0;
}

static __always_inline struct remembered *place_of(const struct address *local,
						   const struct address *peer)
{
	__u32 key = 0;

	for (int i = 0; i < 4; i++)
		key ^= local->words[i] ^ peer->words[i];
	key ^= key >> 16;
	key = (key ^ key >> 8) % REMEMBERED_MAX + REMEMBERED_MAX * bpf_get_smp_processor_id();
	return bpf_map_lookup_elem(&remembered, &key);
}

static __always_inline int is_pair(const struct pair *pair, const struct address *local,
				   const struct address *peer)
{
	__u32 difference = 0;

	for (int i = 0; i < 4; i++)
		difference |= (pair->local.words[i] ^ local->words[i]) |
			      (pair->peer.words[i] ^ peer->words[i]);
	return difference == 0;
}

/** The record gets what it has not heard, unless it is another context's by now. */
static __always_inline void settle(struct remembered *place)
{
	struct record *record = record_of(place->slot);

	if (!record || record->incarnation != place->incarnation)
		return;
	if (place->out.last) {
		tell_flow(&record->out, &record->in, place->out.last, place->out.last);
		add_to_flow(&record->out, place->out.packets, place->out.bytes);
	}
	if (place->in.last) {
		tell_flow(&record->in, &record->out, place->in.last, place->in.last);
		add_to_flow(&record->in, place->in.packets, place->in.bytes);
	}
}

/** Nobody's, or of a pair without packets for a second: 1024 telling intervals. */
static __always_inline int is_free(const struct remembered *place)
{
	struct settings *own = own_settings();
	__u64 last = place->out.last > place->in.last ? place->out.last : place->in.last;

	return !last || !own ||
	       bpf_ktime_get_ns() - last >= (__u64)own->telling_interval << 10;
}

/**
 * Unless somebody wants to hear of the context's next packet, or the place is another pair's: where
 * many pairs are busy, to give places up and take them costs more than to do without.
 */
static __noinline int remember(struct remembered *place, const struct pair *ulids, __u32 slot,
			       __u32 generation)
{
	const struct seen nothing = {};
	struct record *record = record_of(slot);

	if (!record || record->awaited || record->flags & RECORD_WATCHED)
		return 0;
	if (place->slot != slot || place->incarnation != record->incarnation ||
	    !is_pair(&place->ulids, &ulids->local, &ulids->peer)) {
		if (place->slot != slot && !is_free(place))
			return 0;
		settle(place);
		place->slot = slot;
		place->incarnation = record->incarnation;
		place->ulids = *ulids;
		place->out = nothing;
		place->in = nothing;
	}
	place->generation = generation;
	return 1;
}

/**
 * The generation is read before the pair: what user space changes meanwhile is not remembered.
 * @param found where what is remembered of an observed pair is; untouched if nothing is
 */
static __always_inline enum standing standing_of(const struct pair *ulids, __u32 *slot,
						 struct remembered **found)
{
	__u32 generation = current_generation();
	struct remembered *place = place_of(&ulids->local, &ulids->peer);
	struct pair_state *state;

	if (place && place->generation == generation &&
	    is_pair(&place->ulids, &ulids->local, &ulids->peer)) {
		*slot = place->slot;
		*found = place;
		return OBSERVED;
	}
	state = bpf_map_lookup_elem(&pairs, ulids);
	if (!state)
		return WITHOUT_CONTEXT;
	*slot = state->slot;
	if (state->mapped || state->forks)
		return REWRITTEN;
	if (place && remember(place, ulids, *slot, generation))
		*found = place;
	return OBSERVED;
}

/* Deferred establishment */

static __always_inline int tell_pair(__u32 kind, __u64 now, const struct pair *ulids)
{
	struct event *event = begin_event(kind, now, ulids);

	if (!event)
		return 0;
	bpf_ringbuf_submit(event, 0);
	return 1;
}

/**
 * Counts a packet of a pair without context; tells once when it has enough (the paper: 50), and
 * once before, when its peer is no stranger any more. What a router passes on for others does not
 * count.
 */
static __noinline int consider(struct __sk_buff *skb, const struct pair *ulids)
{
	struct settings *own = own_settings();
	struct candidate *known, fresh = {};
	__u32 before, packets = packets_of(skb);
	__u64 now = bpf_ktime_get_ns();

	if (!own)
		return 0;
	known = bpf_map_lookup_elem(&candidates, ulids);
	if (!known) {
		if (!bpf_map_lookup_elem(&locals, &ulids->local))
			return 0;
		fresh.first = now;
		bpf_map_update_elem(&candidates, ulids, &fresh, BPF_NOEXIST);
		known = bpf_map_lookup_elem(&candidates, ulids);
		if (!known)
			return 0;
	}
	if (known->triggered)
		return 0;
	before = __sync_fetch_and_add(&known->packets, packets);
	if (known->packets >= own->trigger_packets ||
	    (own->trigger_age && now - known->first >= own->trigger_age))
		known->triggered = tell_pair(EVENT_TRIGGER, now, ulids);
	else if (before < own->acquainted_packets && before + packets >= own->acquainted_packets)
		tell_pair(EVENT_ACQUAINTED, now, ulids);
	return 0;
}

/* Inbound */

static __always_inline void tell_payload(struct record *record, __u32 slot, __u32 tagged,
					 __u64 now, const struct pair *ulids)
{
	struct event *event;

	tell_resumed(record, slot, now, ulids);
	if (!(record->flags & RECORD_WATCHED))
		return;
	event = begin_event(EVENT_INBOUND_PAYLOAD, now, ulids);
	if (!event)
		return;
	event->slot = slot;
	event->tagged = tagged;
	bpf_ringbuf_submit(event, 0);
}

/** Of a pair that is not remembered. */
static __always_inline void note_payload(struct __sk_buff *skb, __u32 slot, __u32 tagged,
					 const struct pair *ulids, __u32 octets)
{
	struct record *record = record_of(slot);
	__u64 now = bpf_ktime_get_ns();

	if (!record)
		return;
	tell_flow(&record->in, &record->out, 0, now);
	add_to_flow(&record->in, packets_of(skb), octets);
	tell_payload(record, slot, tagged, now, ulids);
}

/* Of one that is */

static __noinline int tell_record(const struct remembered *place, __u32 is_inbound, __u64 before,
				  __u64 now)
{
	struct record *record = record_of(place->slot);

	if (!record)
		return 0;
	if (is_inbound) {
		tell_flow(&record->in, &record->out, before, now);
		tell_payload(record, place->slot, 0, now, &place->ulids);
	} else {
		tell_flow(&record->out, &record->in, before, now);
		tell_resumed(record, place->slot, now, &place->ulids);
	}
	return 0;
}

/**
 * This processor's next packet. User space reads what is seen here, and raises the generation after
 * it has marked a record: so one of both hears of the other.
 */
static __always_inline void see(struct __sk_buff *skb, struct remembered *place,
				const int is_inbound, __u32 octets, const struct settings *own)
{
	struct seen *seen = is_inbound ? &place->in : &place->out;
	__u64 now = bpf_ktime_get_ns(), before = seen->last;

	seen->last = now;
	/* Nobody else writes here; the second one is atomic for its place before the generation. */
	seen->packets += packets_of(skb);
	__sync_fetch_and_add(&seen->bytes, octets);
	if (now - seen->told < own->telling_interval &&
	    place->generation == *(volatile __u32 *)&own->generation)
		return;
	seen->told = now;
	tell_record(place, is_inbound, before, now);
}

/**
 * The short way of what most packets are: TCP or UDP of a remembered pair. The packet is read where
 * it is, and the long way calls more.
 * @returns whether that was all there is to do; otherwise nothing has been done
 */
static __always_inline int glance(struct __sk_buff *skb, const __u32 l2, const int is_inbound)
{
	const void *start = (void *)(long)skb->data + l2, *end = (void *)(long)skb->data_end;
	const struct address *local, *peer;
	struct settings *own = own_settings();
	const struct ipv6hdr *header = start;
	struct remembered *place;

	if (start + sizeof(*header) > end || !own)
		return 0;
	if (skb->protocol != bpf_htons(ETH_P_IPV6) || skb->vlan_present || header->version != 6)
		return 0;
	if (header->nexthdr != PROTOCOL_TCP && (header->nexthdr != PROTOCOL_UDP || own->udp_port))
		return 0;
	if (own->drilled_link == skb->ifindex || (!is_inbound && skb->mark & LOCATOR_MARK))
		return 0;
	local = (const struct address *)(is_inbound ? &header->daddr : &header->saddr);
	peer = (const struct address *)(is_inbound ? &header->saddr : &header->daddr);
	place = place_of(local, peer);
	if (!place || place->generation != *(volatile __u32 *)&own->generation ||
	    !is_pair(&place->ulids, local, peer))
		return 0;
	see(skb, place, is_inbound, octets_of(skb, l2, header), own);
	return 1;
}

static __noinline int plain_in(struct __sk_buff *skb, __u32 l2, struct ipv6hdr *header)
{
	struct remembered *place = 0;
	struct settings *own;
	struct pair ulids;
	__u32 slot = NO_SLOT;

	ulids.local = *(struct address *)&header->daddr;
	ulids.peer = *(struct address *)&header->saddr;
	if (!is_ulp(skb, l2, header))
		return PASS;
	if (standing_of(&ulids, &slot, &place) == WITHOUT_CONTEXT) {
		consider(skb, &ulids);
		return PASS;
	}
	if (is_drilled(skb))
		return DROP;
	own = own_settings();
	if (place && own)
		see(skb, place, 1, octets_of(skb, l2, header), own);
	else
		note_payload(skb, slot, 0, &ulids, octets_of(skb, l2, header));
	return PASS;
}

static __always_inline int unknown_tag(struct ipv6hdr *header, __u64 tag, __u32 encapsulated)
{
	struct pair addresses;
	struct event *event;

	count(DROP_UNKNOWN_TAG);
	addresses.local = *(struct address *)&header->saddr;
	addresses.peer = *(struct address *)&header->daddr;
	event = begin_event(EVENT_UNKNOWN_TAG, bpf_ktime_get_ns(), &addresses);
	if (event) {
		event->tag = tag;
		event->tagged = encapsulated;
		bpf_ringbuf_submit(event, 0);
	}
	return DROP;
}

/**
 * Takes the payload header off and puts the ULIDs back. ULP checksums cover these already.
 * @param place where it is, and the protocol that stands behind it
 */
static __noinline int restore(struct __sk_buff *skb, __u32 l2, struct ipv6hdr *header,
			      const struct place *place, const struct pair *ulids)
{
	__u32 length = place->at - IPV6_LENGTH;
	const __u8 next = place->protocol;
	struct extensions *moved;
	__u32 key = 0;

	header->payload_len = bpf_htons(bpf_ntohs(header->payload_len) - SHIM6_LENGTH);
	set_addresses(header, &ulids->peer, &ulids->local);
	if (place->field == NEXT_HEADER)
		header->nexthdr = next;
	moved = bpf_map_lookup_elem(&scratch, &key);
	if (!moved)
		return -1;
	if (length > 0) {
		BOUND(length, EXTENSIONS_MAX);
		if (bpf_skb_load_bytes(skb, l2 + IPV6_LENGTH, moved->octets, length) < 0)
			return -1;
	}
	if (bpf_skb_adjust_room(skb, -SHIM6_LENGTH, BPF_ADJ_ROOM_NET, 0) < 0)
		return -1;
	if (bpf_skb_store_bytes(skb, l2, header, sizeof(*header), BPF_F_RECOMPUTE_CSUM) < 0)
		return -1;
	if (length == 0)
		return 0;
	if (bpf_skb_store_bytes(skb, l2 + IPV6_LENGTH, moved->octets, length,
				BPF_F_RECOMPUTE_CSUM) < 0)
		return -1;
	return bpf_skb_store_bytes(skb, l2 + place->field, &next, 1, BPF_F_RECOMPUTE_CSUM);
}

/**
 * A packet with a Shim6 header, or with headers before which one may stand. Payload is
 * demultiplexed by tag alone (RFC 5533 section 12.4).
 */
static __always_inline int shim6_in(struct __sk_buff *skb, __u32 l2, struct ipv6hdr *header)
{
	struct tagged *context;
	__u8 shim6[SHIM6_LENGTH];
	struct place place;
	struct pair ulids;
	__u32 slot;
	__u64 tag;

	begin_walk(&place, header);
	if (walk(skb, l2, 0, &place) < 0)
		return plain_in(skb, l2, header);
	if (!bpf_map_lookup_elem(&locals, &header->daddr))
		return PASS;
	if (is_drilled(skb))
		return DROP;
	if (bpf_skb_load_bytes(skb, l2 + place.at, shim6, sizeof(shim6)) < 0 ||
	    !(shim6[2] & 0x80))
		return PASS;
	if (shim6[1] != 0 || place.at + SHIM6_LENGTH > place.end || place.end > skb->len - l2) {
		count(DROP_INBOUND_MALFORMED);
		return DROP;
	}
	tag = tag_of(shim6);
	context = bpf_map_lookup_elem(&tags, &tag);
	if (!context)
		return unknown_tag(header, tag, 0);
	ulids = context->ulids;
	slot = context->slot;
	place.protocol = shim6[0];
	if (restore(skb, l2, header, &place, &ulids) < 0) {
		count(DROP_INBOUND_MALFORMED);
		return DROP;
	}
	note_payload(skb, slot, 1, &ulids, octets_of(skb, l2, header));
	return PASS;
}

/* In UDP (docs/encapsulation.md): no extension headers stand before it */

struct shim6_in_udp {
	__be16 source;
	__be16 destination;
	__be16 length;
	__sum16 checksum;
	__u8 shim6[SHIM6_LENGTH];
};

/** Whether the UDP header at `offset` is of Shim6. With a frame of its own: callers have no room. */
static __noinline int is_shim6_port(struct __sk_buff *skb, __u32 offset)
{
	struct settings *own = own_settings();
	__be16 ports[2];

	if (!own || !own->udp_port || bpf_skb_load_bytes(skb, offset, ports, sizeof(ports)) < 0)
		return 0;
	return ports[0] == bpf_htons(own->udp_port) && ports[1] == ports[0];
}

/** As shim6_in. The UDP checksum is not verified: it covers nothing that the ULP's own does not. */
static __noinline int udp_in(struct __sk_buff *skb, __u32 l2, struct ipv6hdr *header)
{
	struct tagged *context;
	struct shim6_in_udp front;
	struct pair ulids;
	__u32 slot, length = bpf_ntohs(header->payload_len);
	__u64 tag;

	if (!bpf_map_lookup_elem(&locals, &header->daddr))
		return PASS;
	if (is_drilled(skb))
		return DROP;
	if (bpf_skb_load_bytes(skb, l2 + IPV6_LENGTH, &front, sizeof(front)) < 0 ||
	    !(front.shim6[2] & 0x80))
		return PASS;
	if (front.shim6[1] != 0 || length < sizeof(front) || IPV6_LENGTH + length > skb->len - l2) {
		count(DROP_INBOUND_MALFORMED);
		return DROP;
	}
	tag = tag_of(front.shim6);
	context = bpf_map_lookup_elem(&tags, &tag);
	if (!context)
		return unknown_tag(header, tag, 1);
	ulids = context->ulids;
	slot = context->slot;
	header->payload_len = bpf_htons(length - sizeof(front));
	header->nexthdr = front.shim6[0];
	set_addresses(header, &ulids.peer, &ulids.local);
	if (bpf_skb_adjust_room(skb, -(__s32)sizeof(front), BPF_ADJ_ROOM_NET, 0) < 0 ||
	    bpf_skb_store_bytes(skb, l2, header, sizeof(*header), BPF_F_RECOMPUTE_CSUM) < 0) {
		count(DROP_INBOUND_MALFORMED);
		return DROP;
	}
	note_payload(skb, slot, 1, &ulids, octets_of(skb, l2, header));
	return PASS;
}

/* ICMPv6 errors */

/** An error about a packet of ours, from its IPv6 header on. */
struct icmp_error {
	struct ipv6hdr outer;
	__u8 type;
	__u8 code;
	__u16 checksum;
	__u32 parameter;
	struct ipv6hdr inner;
	__u8 shim6[SHIM6_LENGTH];
};

/** What an ICMPv6 checksum covers and a translation changes. */
struct covered {
	struct address destination;
	__u32 length;
	__u8 type;
	__u8 code;
	__u16 checksum;
	__u32 parameter;
	struct ipv6hdr inner;
};

struct covered_before {
	struct covered covered;
	__u8 shim6[SHIM6_LENGTH];
};

/** Those that another locator pair may cure: concernsPath of src/wire/icmp6.ts. */
static __always_inline int concerns_path(__u8 type, __u8 code)
{
	if (type == ICMP_UNREACHABLE)
		return code != CODE_PORT_UNREACHABLE;
	return type == ICMP_TIME_EXCEEDED;
}

/** @returns 0, or -1 where the error is about the Shim6 header, which the ULP knows nothing of */
static __always_inline int translate_parameter(struct icmp_error *error)
{
	__u32 parameter = bpf_ntohl(error->parameter);

	if (error->type == ICMP_TOO_BIG) {
		if (parameter >= MINIMUM_MTU)
			parameter = parameter - SHIM6_LENGTH < MINIMUM_MTU
					    ? MINIMUM_MTU
					    : parameter - SHIM6_LENGTH;
	} else if (error->type != ICMP_PARAMETER_PROBLEM) {
		parameter = 0;
	} else if ((error->code == CODE_NEXT_HEADER && parameter == NEXT_HEADER) ||
		   (parameter >= IPV6_LENGTH && parameter < IPV6_LENGTH + SHIM6_LENGTH)) {
		return -1;
	} else if (parameter > IPV6_LENGTH) {
		parameter -= SHIM6_LENGTH;
	}
	error->parameter = bpf_htonl(parameter);
	return 0;
}

static __always_inline void cover(struct covered *covered, const struct icmp_error *error)
{
	covered->destination = *(struct address *)&error->outer.daddr;
	covered->length = bpf_htonl(bpf_ntohs(error->outer.payload_len));
	covered->type = error->type;
	covered->code = error->code;
	covered->checksum = 0;
	covered->parameter = error->parameter;
	covered->inner = error->inner;
}

static __always_inline __u16 fold(__s64 sum)
{
	__u32 folded = (__u32)sum;

	folded = (folded & 0xffff) + (folded >> 16);
	folded = (folded & 0xffff) + (folded >> 16);
	return ~folded;
}

/** Shows the ULP an error about its own packet, with 8 octets less for the MTU. */
static __always_inline int translate(struct __sk_buff *skb, __u32 l2, struct icmp_error *error,
				     const struct pair *ulids)
{
	struct covered_before before = {};
	struct covered after = {};
	__s64 sum;

	cover(&before.covered, error);
	__builtin_memcpy(before.shim6, error->shim6, SHIM6_LENGTH);
	if (translate_parameter(error) < 0)
		return -1;
	error->outer.payload_len =
		bpf_htons(bpf_ntohs(error->outer.payload_len) - SHIM6_LENGTH);
	*(struct address *)&error->outer.daddr = ulids->local;
	error->inner.payload_len =
		bpf_htons(bpf_ntohs(error->inner.payload_len) - SHIM6_LENGTH);
	error->inner.nexthdr = error->shim6[0];
	set_addresses(&error->inner, &ulids->local, &ulids->peer);
	cover(&after, error);
	sum = bpf_csum_diff((__be32 *)&before, sizeof(before), (__be32 *)&after, sizeof(after),
			    (__u16)~error->checksum);
	error->checksum = fold(sum);
	if (bpf_skb_adjust_room(skb, -SHIM6_LENGTH, BPF_ADJ_ROOM_NET, 0) < 0)
		return -1;
	return bpf_skb_store_bytes(skb, l2, error, IPV6_LENGTH + ICMP_LENGTH + IPV6_LENGTH,
				   BPF_F_RECOMPUTE_CSUM);
}

/** @param encapsulated the packet went in UDP: user space tells the ULP what it must know */
static __always_inline int rewritten_in_error(struct __sk_buff *skb, __u32 l2,
					      struct icmp_error *error, __u32 encapsulated)
{
	struct tagged *context;
	struct record *record;
	struct peer_tag key;
	struct pair ulids;
	__u32 slot;

	key.locator = *(struct address *)&error->inner.daddr;
	key.tag = tag_of(error->shim6);
	context = bpf_map_lookup_elem(&peer_tags, &key);
	if (!context) {
		count(PASSED_ICMP_ERROR);
		return PASS;
	}
	ulids = context->ulids;
	slot = context->slot;
	record = record_of(slot);
	raise_packet(skb, l2, EVENT_ICMP_ERROR, slot, &ulids);
	if (record && record->flags & RECORD_WITHHOLDING &&
	    concerns_path(error->type, error->code)) {
		count(WITHHELD_ICMP_ERROR);
		return DROP;
	}
	if (encapsulated || translate(skb, l2, error, &ulids) < 0) {
		count(PASSED_ICMP_ERROR);
		return PASS;
	}
	count(TRANSLATED_ICMP_ERROR);
	return PASS;
}

/** An error about a packet that left unchanged. */
static __always_inline int plain_in_error(struct __sk_buff *skb, __u32 l2,
					  struct icmp_error *error)
{
	struct pair_state *state;
	struct record *record;
	struct pair ulids;
	__u32 slot;

	ulids.local = *(struct address *)&error->inner.saddr;
	ulids.peer = *(struct address *)&error->inner.daddr;
	state = bpf_map_lookup_elem(&pairs, &ulids);
	if (!state || !concerns_path(error->type, error->code))
		return PASS;
	slot = state->slot;
	record = record_of(slot);
	if (!record || !(record->flags & RECORD_WITHHOLDING))
		return PASS;
	raise_packet(skb, l2, EVENT_ICMP_ERROR, slot, &ulids);
	count(WITHHELD_ICMP_ERROR);
	return DROP;
}

static __noinline int icmp_error_in(struct __sk_buff *skb, __u32 l2)
{
	const __u32 quoted = l2 + IPV6_LENGTH + ICMP_LENGTH + IPV6_LENGTH;
	struct icmp_error error = {};
	__u32 length, udp = 0;

	if (bpf_skb_load_bytes(skb, l2, &error, IPV6_LENGTH + ICMP_LENGTH + IPV6_LENGTH) < 0)
		return PASS;
	length = bpf_ntohs(error.outer.payload_len);
	if (length < ICMP_LENGTH + IPV6_LENGTH || IPV6_LENGTH + length > skb->len - l2)
		return PASS;
	if (error.type < ICMP_UNREACHABLE || error.type > ICMP_PARAMETER_PROBLEM ||
	    error.inner.version != 6)
		return PASS;
	if (!bpf_map_lookup_elem(&locals, &error.outer.daddr))
		return PASS;
	if (error.inner.nexthdr == PROTOCOL_UDP && is_shim6_port(skb, quoted))
		udp = UDP_LENGTH;
	else if (error.inner.nexthdr != PROTOCOL_SHIM6)
		return plain_in_error(skb, l2, &error);
	if (length < ICMP_LENGTH + IPV6_LENGTH + udp + SHIM6_LENGTH)
		return PASS;
	if (bpf_skb_load_bytes(skb, quoted + udp, error.shim6, SHIM6_LENGTH) < 0)
		return PASS;
	if (!(error.shim6[2] & 0x80) || error.shim6[1] != 0)
		return PASS;
	return rewritten_in_error(skb, l2, &error, udp);
}

static __always_inline int uplink_ingress(struct __sk_buff *skb, const __u32 l2)
{
	struct ipv6hdr header;
	__u8 type;

	if (glance(skb, l2, 1))
		return PASS;
	if (read_header(skb, l2, &header) < 0)
		return PASS;
	switch (header.nexthdr) {
	case PROTOCOL_SHIM6:
	case PROTOCOL_HOP_BY_HOP:
	case PROTOCOL_ROUTING:
	case PROTOCOL_DESTINATION:
		return shim6_in(skb, l2, &header);
	case PROTOCOL_UDP:
		if (is_shim6_port(skb, l2 + IPV6_LENGTH))
			return udp_in(skb, l2, &header);
		break;
	case PROTOCOL_ICMPV6:
		if (bpf_skb_load_bytes(skb, l2 + IPV6_LENGTH, &type, 1) < 0)
			return PASS;
		if (type < ICMP_FIRST_INFORMATIONAL)
			return icmp_error_in(skb, l2);
	}
	return plain_in(skb, l2, &header);
}

/* Outbound */

/** Super-packets do not get an Ethernet header, and are lost: TCP sends them again. */
static __always_inline int to_ulid_device(struct __sk_buff *skb, const __u32 l2)
{
	const struct ethhdr ethernet = { .h_proto = bpf_htons(ETH_P_IPV6) };
	struct settings *own = own_settings();

	if (!own)
		return PASS;
	if (l2 == 0 && (bpf_skb_change_head(skb, ETH_HLEN, 0) < 0 ||
			bpf_skb_store_bytes(skb, 0, &ethernet, ETH_HLEN, 0) < 0))
		return DROP;
	return bpf_redirect(own->ulid_device, 0);
}

/**
 * What leaves by a drilled uplink vanishes as on a dead path: its sender is not told. TCP would take
 * a drop here for congestion, and try again. What is no IPv6 packet the ULID device drops.
 */
static __always_inline int swallow(struct __sk_buff *skb, const __u32 l2)
{
	const __u8 no_version = 0;

	if (bpf_skb_store_bytes(skb, l2, &no_version, 1, 0) < 0)
		return DROP;
	return to_ulid_device(skb, l2);
}

static __always_inline void note_out(__u32 slot, const struct pair *ulids, __u32 packets,
				     __u32 octets)
{
	struct record *record = record_of(slot);
	__u64 now = bpf_ktime_get_ns();

	if (!record)
		return;
	tell_flow(&record->out, &record->in, 0, now);
	add_to_flow(&record->out, packets, octets);
	tell_resumed(record, slot, now, ulids);
}

static __always_inline int uplink_egress(struct __sk_buff *skb, const __u32 l2)
{
	struct remembered *place = 0;
	struct ipv6hdr header;
	struct settings *own;
	struct pair ulids;
	__u32 slot = NO_SLOT;

	if (glance(skb, l2, 0))
		return PASS;
	if (read_header(skb, l2, &header) < 0)
		return PASS;
	/* Counted already, or the shim's own. */
	if (skb->mark & LOCATOR_MARK)
		return is_drilled(skb) ? swallow(skb, l2) : PASS;
	if (header.nexthdr == PROTOCOL_SHIM6 || !is_ulp(skb, l2, &header))
		return PASS;
	ulids.local = *(struct address *)&header.saddr;
	ulids.peer = *(struct address *)&header.daddr;
	switch (standing_of(&ulids, &slot, &place)) {
	case WITHOUT_CONTEXT:
		consider(skb, &ulids);
		return PASS;
	case REWRITTEN:
		/* Its socket has not looked for a route yet, or is bound to this link. */
		return to_ulid_device(skb, l2);
	case OBSERVED:
		break;
	}
	own = own_settings();
	if (place && own)
		see(skb, place, 0, octets_of(skb, l2, &header), own);
	else
		note_out(slot, &ulids, packets_of(skb), octets_of(skb, l2, &header));
	return is_drilled(skb) ? swallow(skb, l2) : PASS;
}

/** No protocol, and no selector's. */
#define PROTOCOL_UNKNOWN 0x100

/** The transport of a packet, behind all extension headers. */
struct transport {
	__u16 protocol;
	__u16 has_ports;
	__u16 local_port;
	__u16 peer_port;
};

static __always_inline int has_ports(__u32 protocol)
{
	return protocol == PROTOCOL_TCP || protocol == PROTOCOL_UDP ||
	       protocol == PROTOCOL_DCCP || protocol == PROTOCOL_SCTP ||
	       protocol == PROTOCOL_UDPLITE;
}

static __always_inline int is_extension(__u32 protocol)
{
	return protocol == PROTOCOL_HOP_BY_HOP || protocol == PROTOCOL_ROUTING ||
	       protocol == PROTOCOL_DESTINATION || protocol == PROTOCOL_FRAGMENT ||
	       protocol == PROTOCOL_AUTHENTICATION;
}

static __always_inline __u32 extension_length(__u32 protocol, __u8 length)
{
	if (protocol == PROTOCOL_FRAGMENT)
		return 8;
	return protocol == PROTOCOL_AUTHENTICATION ? 4 * (length + 2) : 8 * (length + 1);
}

/**
 * Walks from `chain` over all extension headers. A fragment but the first ends the chain.
 * @returns 1 where no transport header follows, 0, or -1 for a packet that ends in a header, or
 *   has too many
 */
static __noinline int walk_chain(struct __sk_buff *skb, __u32 l2, struct place *chain)
{
	__u8 header[4];
	int later = 0;

	for (int i = 0; i < CHAIN_MAX && !later && is_extension(chain->protocol); i++) {
		if (bpf_skb_load_bytes(skb, l2 + chain->at, header, sizeof(header)) < 0)
			return -1;
		if (chain->protocol == PROTOCOL_FRAGMENT)
			later = header[2] | (header[3] & 0xf8);
		chain->at += extension_length(chain->protocol, header[1]);
		chain->protocol = header[0];
		if (chain->at > chain->end)
			return -1;
	}
	if (later)
		return 1;
	return is_extension(chain->protocol) ? -1 : 0;
}

/** As matchesFlow of src/dataplane/nfqueue/flow-match.ts looks for it. */
static __always_inline void find_transport(struct __sk_buff *skb, __u32 l2,
					   const struct ipv6hdr *header, struct transport *found)
{
	struct place chain;
	__u16 ports[2];
	int end;

	begin_walk(&chain, header);
	end = walk_chain(skb, l2, &chain);
	found->protocol = end < 0 ? PROTOCOL_UNKNOWN : chain.protocol;
	if (end != 0 || !has_ports(found->protocol))
		return;
	if (bpf_skb_load_bytes(skb, l2 + chain.at, ports, sizeof(ports)) < 0)
		return;
	found->has_ports = 1;
	found->local_port = bpf_ntohs(ports[0]);
	found->peer_port = bpf_ntohs(ports[1]);
}

/** 1 for anything but 0. */
static __always_inline __u32 differs(__u32 difference)
{
	return (difference | -difference) >> 31;
}

/** 1 for a port that is not from `first` to `last`. */
static __always_inline __u32 is_outside(__u16 port, __u16 first, __u16 last)
{
	return ((__u32)(__u16)(last - first) - (__u32)(__u16)(port - first)) >> 31;
}

/** Without branches: for each of them the verifier would look at every fork once more. */
static __always_inline int selects(const struct selector *selector, const struct transport *found,
				   __u32 mark, __u8 dscp)
{
	__u32 missed = 0;

	missed |= differs((mark & selector->mark_mask) ^ selector->mark) * SELECT_MARK;
	missed |= differs(dscp ^ selector->dscp) * SELECT_DSCP;
	missed |= differs(found->protocol ^ selector->protocol) * SELECT_PROTOCOL;
	missed |= is_outside(found->local_port, selector->local_first, selector->local_last) *
		  SELECT_LOCAL_PORTS;
	missed |= is_outside(found->peer_port, selector->peer_first, selector->peer_last) *
		  SELECT_PEER_PORTS;
	missed |= differs(found->has_ports ^ 1) * (SELECT_LOCAL_PORTS | SELECT_PEER_PORTS);
	return (missed & selector->criteria) == 0;
}

/** The first fork that selects the packet, or none. */
static __noinline struct fork *select_fork(struct __sk_buff *skb, __u32 l2,
					   const struct ipv6hdr *header, __u32 forks_present)
{
	const __u8 dscp = (header->priority << 2) | (header->flow_lbl[0] >> 6);
	struct transport found = {};
	struct fork_key key;
	struct fork *fork;

	find_transport(skb, l2, header, &found);
	key.ulids.local = *(struct address *)&header->saddr;
	key.ulids.peer = *(struct address *)&header->daddr;
	for (__u32 i = 0; i < FORKS_MAX && i < forks_present; i++) {
		key.index = i;
		fork = bpf_map_lookup_elem(&forks, &key);
		if (fork && selects(&fork->selector, &found, skb->mark, dscp))
			return fork;
	}
	return 0;
}

static __always_inline int leave(const struct way *way)
{
	struct bpf_redir_neigh neighbour = { .nh_family = AF_INET6 };

	if (!way->link) {
		count(DROP_NO_ROUTE);
		return DROP;
	}
	*(struct address *)&neighbour.ipv6_nh = way->gateway;
	return bpf_redirect_neigh(way->link, &neighbour, sizeof(neighbour), 0);
}

/** Puts the payload header where RFC 5533 section 4.6 wants it, and the locators in. */
static __always_inline int insert(struct __sk_buff *skb, __u32 l2, struct ipv6hdr *header,
				  const struct mapping *mapping)
{
	struct {
		struct ipv6hdr header;
		__u8 shim6[SHIM6_LENGTH];
	} front;
	struct extensions *moved;
	const __u8 shim6_protocol = PROTOCOL_SHIM6;
	struct place place;
	__u32 length, key = 0;

	begin_walk(&place, header);
	if (is_routing_sublayer(header->nexthdr, IPV6_LENGTH) && walk(skb, l2, 1, &place) < 0)
		return -1;
	length = place.at - IPV6_LENGTH;
	moved = bpf_map_lookup_elem(&scratch, &key);
	if (!moved)
		return -1;
	header->payload_len = bpf_htons(bpf_ntohs(header->payload_len) + SHIM6_LENGTH);
	set_addresses(header, &mapping->locators.local, &mapping->locators.peer);
	__builtin_memcpy(front.shim6, mapping->header, SHIM6_LENGTH);
	front.shim6[0] = place.protocol;
	if (length == 0) {
		header->nexthdr = PROTOCOL_SHIM6;
		front.header = *header;
		if (bpf_skb_adjust_room(skb, SHIM6_LENGTH, BPF_ADJ_ROOM_NET, 0) < 0)
			return -1;
		return bpf_skb_store_bytes(skb, l2, &front, sizeof(front), 0);
	}
	BOUND(length, EXTENSIONS_MAX);
	if (bpf_skb_load_bytes(skb, l2 + IPV6_LENGTH, moved->octets, length) < 0)
		return -1;
	if (bpf_skb_adjust_room(skb, SHIM6_LENGTH, BPF_ADJ_ROOM_NET, 0) < 0 ||
	    bpf_skb_store_bytes(skb, l2, header, sizeof(*header), 0) < 0 ||
	    bpf_skb_store_bytes(skb, l2 + IPV6_LENGTH, moved->octets, length, 0) < 0 ||
	    bpf_skb_store_bytes(skb, l2 + place.field, &shim6_protocol, 1, 0) < 0)
		return -1;
	return bpf_skb_store_bytes(skb, l2 + place.at, front.shim6, SHIM6_LENGTH, 0);
}

/** What an upper-layer checksum covers of the IPv6 header. */
struct pseudo_header {
	struct address source;
	struct address destination;
	__be32 length;
	__be32 protocol;
};

static __always_inline void cover_header(struct pseudo_header *pseudo, const struct ipv6hdr *header)
{
	pseudo->source = *(struct address *)&header->saddr;
	pseudo->destination = *(struct address *)&header->daddr;
	pseudo->length = bpf_htonl(bpf_ntohs(header->payload_len));
	pseudo->protocol = bpf_htonl(header->nexthdr);
}

/**
 * Whether the ULP's checksum is right behind the IPv6 header and covers all that follows: then
 * the sum over that is known from the pseudo-header alone. The ULID device offloads no checksums.
 */
static __always_inline int has_checksum(struct __sk_buff *skb, __u32 l2,
					const struct ipv6hdr *header)
{
	__be16 checksum;

	if (header->nexthdr == PROTOCOL_TCP || header->nexthdr == PROTOCOL_ICMPV6)
		return 1;
	if (header->nexthdr != PROTOCOL_UDP)
		return 0;
	return bpf_skb_load_bytes(skb, l2 + IPV6_LENGTH + 6, &checksum, 2) == 0 && checksum;
}

/** Puts the payload header in UDP in, and the locators. */
static __noinline int insert_in_udp(struct __sk_buff *skb, __u32 l2, struct ipv6hdr *header,
				    const struct mapping *mapping)
{
	struct {
		struct pseudo_header pseudo;
		struct shim6_in_udp front;
	} after = {};
	struct pseudo_header before = {};
	struct settings *own = own_settings();
	__u16 length = bpf_ntohs(header->payload_len) + sizeof(after.front);
	__s64 sum;

	if (!own)
		return -1;
	cover_header(&before, header);
	__builtin_memcpy(after.front.shim6, mapping->header, SHIM6_LENGTH);
	after.front.shim6[0] = header->nexthdr;
	after.front.source = bpf_htons(own->udp_port);
	after.front.destination = after.front.source;
	after.front.length = bpf_htons(length);
	header->payload_len = bpf_htons(length);
	header->nexthdr = PROTOCOL_UDP;
	set_addresses(header, &mapping->locators.local, &mapping->locators.peer);
	cover_header(&after.pseudo, header);
	/* The rest sums up to what the ULP's pseudo-header lacks. */
	sum = bpf_csum_diff((__be32 *)&before, sizeof(before), (__be32 *)&after, sizeof(after), 0);
	after.front.checksum = fold(sum);
	if (!after.front.checksum)
		after.front.checksum = 0xffff;
	if (bpf_skb_adjust_room(skb, sizeof(after.front), BPF_ADJ_ROOM_NET, 0) < 0 ||
	    bpf_skb_store_bytes(skb, l2, header, sizeof(*header), 0) < 0)
		return -1;
	return bpf_skb_store_bytes(skb, l2 + IPV6_LENGTH, &after.front, sizeof(after.front), 0);
}

static __noinline int rewrite(struct __sk_buff *skb, __u32 l2, struct ipv6hdr *header,
			      const struct mapping *mapping)
{
	if ((mapping->encapsulated ? insert_in_udp(skb, l2, header, mapping) :
				     insert(skb, l2, header, mapping)) < 0) {
		count(DROP_OUTBOUND_MALFORMED);
		return DROP;
	}
	/* Its locators may be the ULIDs of a mapped pair: uplink_out leaves it alone. */
	skb->mark |= LOCATOR_MARK;
	return leave(&mapping->way);
}

/** User space cuts it up, tells the ULP, or computes the UDP checksum and sends it. */
static __always_inline int hand_over(struct __sk_buff *skb, __u32 l2, __u32 slot,
				     const struct pair *ulids)
{
	if (skb->len - l2 <= 2048)
		raise_packet(skb, l2, EVENT_OVERSIZE, slot, ulids);
	else
		raise_long_packet(skb, l2, EVENT_OVERSIZE, slot, ulids);
	count(DROP_TOO_BIG);
	return DROP;
}

SEC("tc")
int ulid_device(struct __sk_buff *skb)
{
	const __u32 l2 = ETH_HLEN;
	struct mapping *mapping = 0;
	struct pair_state *state;
	struct ipv6hdr header;
	struct pair ulids;
	struct fork *fork;
	__u32 slot;

	if (read_header(skb, l2, &header) < 0)
		return DROP;
	ulids.local = *(struct address *)&header.saddr;
	ulids.peer = *(struct address *)&header.daddr;
	state = bpf_map_lookup_elem(&pairs, &ulids);
	if (!state) {
		count(DROP_NO_ROUTE);
		return DROP;
	}
	slot = state->slot;
	if (state->mapped)
		mapping = &state->mapping;
	if (header.nexthdr == PROTOCOL_SHIM6 || !is_ulp(skb, l2, &header)) {
		skb->mark |= LOCATOR_MARK;
		return leave(&state->plain);
	}
	if (state->forks) {
		fork = select_fork(skb, l2, &header, state->forks);
		if (fork) {
			slot = fork->slot;
			mapping = &fork->mapping;
		}
	}
	if (!mapping) {
		/* The null mapping: a fork has led the pair's packets here. */
		note_out(slot, &ulids, 1, octets_of(skb, l2, &header));
		count(PASSED_UNMAPPED);
		skb->mark |= LOCATOR_MARK;
		return leave(&state->plain);
	}
	if (skb->len - l2 + SHIM6_LENGTH > mapping->way.mtu)
		return hand_over(skb, l2, slot, &ulids);
	note_out(slot, &ulids, 1, octets_of(skb, l2, &header));
	if (mapping->encapsulated && !has_checksum(skb, l2, &header))
		return hand_over(skb, l2, slot, &ulids);
	return rewrite(skb, l2, &header, mapping);
}

SEC("tc")
int uplink_in(struct __sk_buff *skb)
{
	return uplink_ingress(skb, ETH_HLEN);
}

SEC("tc")
int uplink_in_raw(struct __sk_buff *skb)
{
	return uplink_ingress(skb, 0);
}

SEC("tc")
int uplink_out(struct __sk_buff *skb)
{
	return uplink_egress(skb, ETH_HLEN);
}

SEC("tc")
int uplink_out_raw(struct __sk_buff *skb)
{
	return uplink_egress(skb, 0);
}

/* After a switch */

/** One TCP socket, and what of it is not acknowledged. */
struct tcp_socket {
	struct bpf_sock_tuple tuple;
	__u32 found;
	/** The first sequence number that the peer has not acknowledged. */
	__u32 unacknowledged;
	__u32 next;
	/** Segments that it takes for lost. */
	__u32 lost;
	/** Retransmission timeouts since its last progress. */
	__u32 timeouts;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct tcp_socket);
} tcp_query SEC(".maps");

/** Run by user space on no packet: looks the socket of `tcp_query` up. */
SEC("tc")
int tcp_state(struct __sk_buff *skb)
{
	__u32 key = 0;
	struct tcp_socket *query = bpf_map_lookup_elem(&tcp_query, &key);
	struct bpf_tcp_sock *tcp;
	struct bpf_sock *socket;

	if (!query)
		return PASS;
	query->found = 0;
	socket = bpf_skc_lookup_tcp(skb, &query->tuple, sizeof(query->tuple.ipv6),
				    BPF_F_CURRENT_NETNS, 0);
	if (!socket)
		return PASS;
	tcp = bpf_tcp_sock(socket);
	if (tcp) {
		query->found = 1;
		query->unacknowledged = tcp->snd_una;
		query->next = tcp->snd_nxt;
		query->lost = tcp->lost_out;
		query->timeouts = tcp->icsk_retransmits;
	}
	bpf_sk_release(socket);
	return PASS;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
