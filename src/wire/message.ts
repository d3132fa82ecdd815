import type { Address } from "./address.ts";
import type { ContextTag } from "./tag.ts";

/**
 * The Shim6 control messages as values (RFC 5533 section 5, RFC 5534 section 5).
 * Nonces, generations, FIIs and probe data are unsigned 32-bit numbers.
 */
export type ControlMessage =
  | I1
  | R1
  | I2
  | R2
  | R1bis
  | I2bis
  | UpdateRequest
  | UpdateAcknowledgement
  | Keepalive
  | Probe
  | ErrorMessage
  | UnknownMessage;

/** The messages that this implementation knows, in the names of RFC 5533 Table 1. */
export type MessageType = Exclude<ControlMessage["type"], "Unknown">;

/** RFC 5533 section 5.4. */
export interface I1 {
  readonly type: "I1";
  readonly initiatorContextTag: ContextTag;
  readonly initiatorNonce: number;
  readonly options: readonly Option[];
}

/** RFC 5533 section 5.5. */
export interface R1 {
  readonly type: "R1";
  readonly initiatorNonce: number;
  readonly responderNonce: number;
  readonly options: readonly Option[];
}

/** RFC 5533 section 5.6. */
export interface I2 {
  readonly type: "I2";
  readonly initiatorContextTag: ContextTag;
  readonly initiatorNonce: number;
  readonly responderNonce: number;
  readonly options: readonly Option[];
}

/** RFC 5533 section 5.7. */
export interface R2 {
  readonly type: "R2";
  readonly responderContextTag: ContextTag;
  readonly initiatorNonce: number;
  readonly options: readonly Option[];
}

/** RFC 5533 section 5.8. */
export interface R1bis {
  readonly type: "R1bis";
  readonly packetContextTag: ContextTag;
  readonly responderNonce: number;
  readonly options: readonly Option[];
}

/** RFC 5533 section 5.9. */
export interface I2bis {
  readonly type: "I2bis";
  readonly initiatorContextTag: ContextTag;
  readonly initiatorNonce: number;
  readonly responderNonce: number;
  readonly packetContextTag: ContextTag;
  readonly options: readonly Option[];
}

/** RFC 5533 section 5.10. */
export interface UpdateRequest {
  readonly type: "UpdateRequest";
  readonly receiverContextTag: ContextTag;
  readonly requestNonce: number;
  readonly options: readonly Option[];
}

/** RFC 5533 section 5.11. */
export interface UpdateAcknowledgement {
  readonly type: "UpdateAcknowledgement";
  readonly receiverContextTag: ContextTag;
  readonly requestNonce: number;
  readonly options: readonly Option[];
}

/** RFC 5534 section 5.1. */
export interface Keepalive {
  readonly type: "Keepalive";
  readonly receiverContextTag: ContextTag;
  readonly options: readonly Option[];
}

/** The REAP state that a Probe carries (RFC 5534 section 5.2). 3 is not a legal value. */
export type ProbeState = "operational" | "exploring" | "inboundok";

/** One sent or received probe, as a Probe reports it (RFC 5534 section 5.2). */
export interface ProbeReport {
  readonly source: Address;
  readonly destination: Address;
  readonly nonce: number;
  readonly data: number;
}

/**
 * RFC 5534 section 5.2. `sentProbes` has 1 to 15 entries, the first of which is this probe
 * itself; `receivedProbes` has 0 to 15.
 */
export interface Probe {
  readonly type: "Probe";
  readonly receiverContextTag: ContextTag;
  readonly state: ProbeState;
  readonly sentProbes: readonly ProbeReport[];
  readonly receivedProbes: readonly ProbeReport[];
  readonly options: readonly Option[];
}

/**
 * RFC 5533 section 5.14. `packetInError` is what follows the fixed header, with the zero
 * octets that fill the message up to a multiple of 8; it has no options.
 */
export interface ErrorMessage {
  readonly type: "Error";
  /** 0 .. 127. */
  readonly errorCode: number;
  /** Octet offset in the packet in error, 0 .. 65535. */
  readonly pointer: number;
  readonly packetInError: Uint8Array;
}

/** A well-formed control message of a type that we don't know (RFC 5533 section 12.3). */
export interface UnknownMessage {
  readonly type: "Unknown";
  /** 0 .. 127. */
  readonly typeCode: number;
  /** All octets behind the checksum. */
  readonly body: Uint8Array;
}

/** Every option carries the critical bit that it came with (RFC 5533 section 5.15). */
export type Option =
  | ResponderValidatorOption
  | LocatorListOption
  | LocatorPreferencesOption
  | CgaParameterDataStructureOption
  | CgaSignatureOption
  | UlidPairOption
  | ForkedInstanceIdentifierOption
  | KeepaliveTimeoutOption
  | UdpEncapsulationOption
  | UnknownOption;

/** RFC 5533 section 5.15.1. */
export interface ResponderValidatorOption {
  readonly name: "ResponderValidator";
  readonly critical: boolean;
  readonly validator: Uint8Array;
}

/** A locator with the octet that says how it is verified (RFC 5533 Table 4). */
export interface ListedLocator {
  readonly address: Address;
  readonly method: number;
}

/** RFC 5533 section 5.15.2. At most 255 locators. */
export interface LocatorListOption {
  readonly name: "LocatorList";
  readonly critical: boolean;
  readonly generation: number;
  readonly locators: readonly ListedLocator[];
}

/** One element of Locator Preferences; octets beyond the third are kept in `rest`. */
export interface LocatorPreference {
  readonly flags: number;
  readonly priority?: number;
  readonly weight?: number;
  readonly rest?: Uint8Array;
}

/** RFC 5533 section 5.15.3. */
export interface LocatorPreferencesOption {
  readonly name: "LocatorPreferences";
  readonly critical: boolean;
  readonly generation: number;
  /** Octets of each element, 1 .. 255. */
  readonly elementLength: number;
  readonly elements: readonly LocatorPreference[];
}

/** RFC 5533 section 5.15.4. */
export interface CgaParameterDataStructureOption {
  readonly name: "CgaParameterDataStructure";
  readonly critical: boolean;
  readonly parameters: Uint8Array;
}

/** RFC 5533 section 5.15.5. */
export interface CgaSignatureOption {
  readonly name: "CgaSignature";
  readonly critical: boolean;
  readonly signature: Uint8Array;
}

/** RFC 5533 section 5.15.6. */
export interface UlidPairOption {
  readonly name: "UlidPair";
  readonly critical: boolean;
  readonly senderUlid: Address;
  readonly receiverUlid: Address;
}

/** RFC 5533 section 5.15.7. */
export interface ForkedInstanceIdentifierOption {
  readonly name: "ForkedInstanceIdentifier";
  readonly critical: boolean;
  readonly identifier: number;
}

/** RFC 5534 section 5.3. */
export interface KeepaliveTimeoutOption {
  readonly name: "KeepaliveTimeout";
  readonly critical: boolean;
  /** Seconds, 0 .. 65535. */
  readonly timeout: number;
}

/** Our own (docs/encapsulation.md): the sender takes Shim6 in UDP. */
export interface UdpEncapsulationOption {
  readonly name: "UdpEncapsulation";
  readonly critical: boolean;
  /** At both ends. */
  readonly port: number;
}

/** An option that we don't know, kept whole so that the core can answer as RFC 5533 5.15 says. */
export interface UnknownOption {
  readonly name: "Unknown";
  readonly critical: boolean;
  /** 15 bits. */
  readonly type: number;
  readonly contents: Uint8Array;
}

export type OptionName = Option["name"];
