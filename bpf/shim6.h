/* SPDX-License-Identifier: MIT */
/*
 * What the kernel's half of the eBPF data plane and src/dataplane/ebpf/layout.ts share. Both
 * sides lay it out by hand: every change goes into both, and raises LAYOUT_VERSION, so that a
 * daemon does not take over the maps of another version.
 */
#ifndef L3SHIM_SHIM6_H
#define L3SHIM_SHIM6_H

#include <linux/types.h>

#define LAYOUT_VERSION 8

/** A context without a record: forks have the pair, no context without a selector. */
#define NO_SLOT 0xffffffff

/** Flags of struct record, set by user space. */
#define RECORD_WATCHED 1
#define RECORD_WITHHOLDING 2

/** The bit of the packet mark that keeps packets off the routes of ULID pairs. */
#define LOCATOR_MARK 0x08000000

#define FORKS_MAX 16

struct address {
	__u32 words[4];
};

/** As this host sees it, be it ULIDs or locators. */
struct pair {
	struct address local;
	struct address peer;
};

/** How packets leave for a locator. */
struct way {
	/** Interface index; 0 when there is no route. */
	__u32 link;
	/** Octets that a packet may have, IPv6 header included. */
	__u32 mtu;
	/** The neighbour to send them to. */
	struct address gateway;
};

/** Outbound payload leaves on these locators, with this header. */
struct mapping {
	struct pair locators;
	/** The payload extension header as it is sent, but for Next Header. */
	__u8 header[8];
	struct way way;
	/** It goes in UDP, whose header `way.mtu` leaves out. */
	__u32 encapsulated;
};

/** What is known of a ULID pair that has contexts. */
struct pair_state {
	/** The record of the context that has all which no fork selects. */
	__u32 slot;
	/** Of `mapping`: 0 for the null mapping. */
	__u32 mapped;
	/** Entries of the map `forks`, from index 0 on. */
	__u32 forks;
	__u32 reserved;
	/** The ULIDs' own way, for what leaves unchanged though it is in the ULID device. */
	struct way plain;
	struct mapping mapping;
};

struct fork_key {
	struct pair ulids;
	__u32 index;
};

#define SELECT_PROTOCOL 1
#define SELECT_LOCAL_PORTS 2
#define SELECT_PEER_PORTS 4
#define SELECT_DSCP 8
#define SELECT_MARK 16

/** Which packets a fork carries: all criteria that `criteria` names must be met. */
struct selector {
	__u32 criteria;
	__u32 mark;
	__u32 mark_mask;
	__u16 local_first;
	__u16 local_last;
	__u16 peer_first;
	__u16 peer_last;
	__u8 protocol;
	__u8 dscp;
	__u16 reserved;
};

struct fork {
	__u32 slot;
	struct selector selector;
	struct mapping mapping;
};

/** A context, by the tag that its inbound payload carries, or by what it sends to its peer. */
struct tagged {
	__u32 slot;
	__u32 reserved;
	struct pair ulids;
};

/** By which an ICMPv6 error about a rewritten packet is told to be a context's. */
struct peer_tag {
	struct address locator;
	/** As a number. */
	__u64 tag;
};

/**
 * One way of a context's traffic; instants are nanoseconds of the monotonic clock, 0 for never.
 *
 * What processors remember of a pair (struct remembered) the record hears of once in
 * `settings.telling_interval`, so that they need not take it from each other for every packet.
 * Hence the first packet since the last one the other way is known to within twice that, and
 * not from one field: it is the earliest that went after the last one the other way, of `recent`,
 * `first` and each processor's own last one.
 */
struct flow {
	__u64 last;
	/**
	 * The last packet that some packet the other way may have come after, as far as this record
	 * knows: until one interval after the last one it has heard of.
	 */
	__u64 recent;
	/** The first one after that. */
	__u64 first;
	__u64 packets;
	__u64 bytes;
	/** Set by user space: what went until then counts as answered. */
	__u64 marked;
};

/**
 * The traffic of a context (src/core/traffic.ts). User space reads and marks it through mapped
 * memory. Each direction has a cache line of its own.
 */
struct record {
	struct flow out;
	__u32 flags;
	/** User space sets it to be told of the next packet, whichever way it goes. */
	__u32 awaited;
	/** Another one for each context that the record is used for. */
	__u32 incarnation;
	__u32 reserved;
	struct flow in;
	__u32 reserved2[4];
};

/** Places for each processor: a power of two. */
#define REMEMBERED_MAX 64

/** What a processor has seen, one way, of a pair that it remembers. The counts are not the record's. */
struct seen {
	__u64 last;
	/** When it last told the record. */
	__u64 told;
	__u64 packets;
	__u64 bytes;
};

/** A pair in the null mapping, without forks, as `pairs` had it in that generation. */
struct remembered {
	struct pair ulids;
	__u32 slot;
	__u32 generation;
	/** Of the record at that time. */
	__u32 incarnation;
	__u32 reserved[5];
	struct seen out;
	struct seen in;
};

/** A pair that may become worth a context. */
struct candidate {
	__u64 first;
	__u32 packets;
	__u32 triggered;
};

struct settings {
	__u32 layout_version;
	/** Interface index of the ULID device's host side. */
	__u32 ulid_device;
	/** 0 for never. */
	__u64 trigger_age;
	__u32 trigger_packets;
	/** Packets after which a pair's peer is told to be an acquaintance. */
	__u32 acquainted_packets;
	/** Of Shim6 in UDP, at both ends; 0 where there is none. */
	__u32 udp_port;
	/** Interface index of the uplink that is rehearsed as dead; 0 for none. */
	__u32 drilled_link;
	/** Until then, in nanoseconds of the monotonic clock, whether user space lives or not. */
	__u64 drilled_until;
	/** Nanoseconds; see struct flow. */
	__u32 telling_interval;
	/** Raised after each change of the map `pairs`, or of what a record asks for: what is remembered
	 * no longer holds. */
	__u32 generation;
};

enum event_kind {
	EVENT_TRIGGER = 1,
	EVENT_UNKNOWN_TAG = 2,
	EVENT_INBOUND_PAYLOAD = 3,
	EVENT_ICMP_ERROR = 4,
	EVENT_OVERSIZE = 5,
	EVENT_ACQUAINTED = 6,
	EVENT_TRAFFIC_RESUMED = 7,
};

/** What user space hears of; octets of a packet may follow. */
struct event {
	__u32 kind;
	/** Octets that follow. */
	__u32 length;
	__u64 time;
	__u64 tag;
	/** The pair concerned, or source (local) and destination (peer) for an unknown tag. */
	struct pair addresses;
	/** The context's record, where there is one. */
	__u32 slot;
	/** EVENT_INBOUND_PAYLOAD: it had the payload extension header. EVENT_UNKNOWN_TAG: in UDP. */
	__u32 tagged;
};

/** In the order of COUNTERS in src/dataplane/ebpf/layout.ts. */
enum counter {
	DROP_UNKNOWN_TAG,
	DROP_INBOUND_MALFORMED,
	DROP_OUTBOUND_MALFORMED,
	DROP_TOO_BIG,
	DROP_NO_ROUTE,
	PASSED_UNMAPPED,
	TRANSLATED_ICMP_ERROR,
	WITHHELD_ICMP_ERROR,
	PASSED_ICMP_ERROR,
	EVENT_LOST,
	COUNTERS,
};

#endif
