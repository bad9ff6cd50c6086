// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {CheckpointAnchor} from "./CheckpointAnchor.sol";
import {CoseStatement} from "./CoseStatement.sol";

/// @title Maintenance orders that place themselves by proof, and are paid from escrow
/// @notice An operator and a supplier agree on terms. A prediction in an anchored log that says so places an order; the price
/// is set aside and goes to the supplier when the part was received and installed, or back. Each state ends by a deadline, so
/// money never stays behind. Rules in words: docs/agreements.md.
///
/// Of the terms only `keccak256(abi.encode(terms))` is kept: each call brings them along. `twin` is the SHA-256 of a twin's
/// IRI. Times are POSIX seconds, amounts are in the smallest unit of the currency; currency 0 is the chain's own coin. An order's
/// id is `agreement << 32 | number`, both from 1. Something is in time before its deadline, and late at it.
interface IMaintenanceAgreement {
    /// @notice What the parties agree on.
    struct Terms {
        /// @dev Who needs parts and pays.
        address operator;
        /// @dev Who delivers and is paid.
        address supplier;
        /// @dev Who decides disputes; 0: nobody, and who holds the part decides.
        address arbiter;
        /// @dev The CheckpointAnchor and the log in it that proofs lead to.
        address anchors;
        /// @dev The PartPassport that delivered parts are tokens of.
        address passports;
        bytes32 logId;
        /// @dev Whose predictions place orders.
        CoseStatement.Key predictor;
        /// @dev Whose installation statements fulfil them.
        CoseStatement.Key technician;
        /// @dev keccak256 of the prediction's unit.
        bytes32 unit;
        /// @dev An order needs a lower bound below this: the bits of a float64.
        uint64 below;
        /// @dev An order needs at least this coverage: the bits of a float64.
        uint64 coverage;
        /// @dev keccak256 of the part number.
        bytes32 partNumber;
        /// @dev An ERC-20, or 0 for the chain's own coin.
        address currency;
        /// @dev Of one order.
        uint128 price;
        /// @dev How old a prediction may be, by its signer's clock. This and the rest in seconds, at least 1.
        uint32 maxAge;
        uint32 acceptWithin;
        uint32 shipWithin;
        uint32 receiveWithin;
        uint32 installWithin;
        uint32 disputeWithin;
    }

    /// @notice A statement and its place in an anchored log.
    struct Proof {
        bytes statement;
        uint64 index;
        CheckpointAnchor.Head head;
        /// @dev The inclusion proof (RFC 9162 section 2.1.3), the leaf's sibling first.
        bytes32[] path;
    }

    /// @notice What is kept of an agreement besides the hash of its terms.
    struct Agreement {
        /// @dev Escrow that no order has set aside.
        uint128 free;
        /// @dev How many orders were placed.
        uint32 orders;
        /// @dev The supplier agreed.
        bool agreed;
        bool suspendedByOperator;
        bool suspendedBySupplier;
        bool ended;
    }

    /// @notice Placed to Disputed are open; the others are final.
    enum State {
        None,
        Placed,
        Accepted,
        Shipped,
        Received,
        Disputed,
        Fulfilled,
        Cancelled,
        Refunded,
        Resolved
    }

    /// @notice Why the price went back to the agreement's escrow.
    enum Reason {
        OperatorWithdrew,
        SupplierRefused,
        BothAgreed,
        NotAccepted,
        NotShipped,
        NotReceived
    }

    /// @notice An order.
    struct Order {
        State state;
        /// @dev Log index of the prediction that placed it.
        uint64 index;
        /// @dev Log index of the installation that fulfilled it, or 0.
        uint64 installed;
        /// @dev When the state ends by itself; of a final state, when it would have.
        uint64 deadline;
        /// @dev The operator held the token: proved on chain.
        bool received;
        /// @dev Who asked to cancel since the state began.
        bool operatorConsents;
        bool supplierConsents;
        /// @dev The supplier got some or all of the price.
        bool paid;
        /// @dev The part, since it was shipped.
        uint256 tokenId;
    }

    /// @notice A twin under an agreement.
    struct Episode {
        /// @dev The agreement covers the twin.
        bool agreed;
        /// @dev How many episodes are over: orders that are final.
        uint32 number;
        /// @dev The latest order, or 0.
        uint256 orderId;
        /// @dev It is open.
        bool open;
        /// @dev The next order needs a prediction at a higher log index, if there was an order.
        uint64 floor;
    }

    /// @notice An agreement was proposed; nothing else tells its terms.
    event Proposed(uint256 indexed id, address indexed operator, address indexed supplier, Terms terms, bytes32[] twins);
    /// @notice The supplier agreed.
    event Agreed(uint256 indexed id);
    /// @notice This much arrived in the escrow.
    event Deposited(uint256 indexed id, address indexed from, uint128 amount);
    /// @notice The operator took this much of the escrow back.
    event Reclaimed(uint256 indexed id, uint128 amount);
    /// @notice A party stops orders from being placed, or no longer does.
    event Suspended(uint256 indexed id, address indexed by, bool suspended);
    /// @notice No more orders are placed; open ones go on.
    event Ended(uint256 indexed id, address indexed by);
    /// @notice A prediction placed an order. `lower` is its lower bound, the bits of a float64.
    event OrderPlaced(
        uint256 indexed orderId, uint256 indexed id, bytes32 indexed twin, uint64 index, uint64 lower, uint64 deadline
    );
    /// @notice The supplier takes the order.
    event OrderAccepted(uint256 indexed orderId, uint64 deadline);
    /// @notice The supplier sent this part.
    event OrderShipped(uint256 indexed orderId, uint256 indexed tokenId, uint64 deadline);
    /// @notice The operator holds the part; or, of a disputed order, held it.
    event OrderReceived(uint256 indexed orderId, uint64 deadline);
    /// @notice The supplier is owed the price.
    event OrderFulfilled(uint256 indexed orderId, uint128 amount);
    /// @notice The price is free again.
    event OrderCancelled(uint256 indexed orderId, Reason reason);
    /// @notice A party would cancel, if the other does too.
    event CancellationAsked(uint256 indexed orderId, address indexed by);
    /// @notice The arbiter is asked. `by` is whoever found that a third party holds the part, if no party asked.
    event OrderDisputed(uint256 indexed orderId, address indexed by, uint64 deadline);
    /// @notice A dispute is over: this much for the supplier, the rest is free again. `by` is not the arbiter if that was silent.
    event OrderResolved(uint256 indexed orderId, address indexed by, uint128 toSupplier);
    /// @notice An account took what it is owed.
    event Withdrawn(address indexed account, address indexed currency, uint256 amount);

    /// @notice A term is missing or contradicts another; `term` is its name.
    error BadTerms(string term);
    /// @notice An agreement covers at least one twin, none twice, and none is zero.
    error BadTwin(bytes32 twin);
    /// @notice These are not the terms of this agreement, or there is none.
    error WrongTerms();
    /// @notice The caller's part in the agreement does not let it do this.
    error NotAllowed(address caller);
    /// @notice The supplier agreed already.
    error AlreadyAgreed();
    /// @notice The agreement was ended.
    error AgreementEnded();
    /// @notice The supplier has not agreed, or a party suspended or ended the agreement.
    error NotActive();
    /// @notice The coin that was sent along is not the amount; an ERC-20 needs none.
    error WrongValue(uint256 sent, uint256 wanted);
    /// @notice No money arrived, or more than the escrow can count.
    error NothingArrived();
    /// @notice Of the escrow only this much is free.
    error InsufficientEscrow(uint128 free, uint128 wanted);
    /// @notice The head was not anchored under the agreement's log.
    error NotAnchored(bytes32 logId, uint64 size);
    /// @notice The statement is of another kind; keccak256 of its content type.
    error WrongKind(bytes32 contentType);
    /// @notice The prediction is about a twin that the agreement does not cover.
    error TwinNotCovered(bytes32 twin);
    /// @notice The prediction counts in another unit; keccak256 of it.
    error WrongUnit(bytes32 unit);
    /// @notice The prediction's coverage is below the agreed one (bits of float64).
    error CoverageTooLow(uint64 coverage, uint64 wanted);
    /// @notice The prediction's lower bound is not below the agreed one (bits of float64).
    error NotBelow(uint64 lower, uint64 below);
    /// @notice The prediction is older than agreed.
    error Stale(uint64 issuedAt, uint32 maxAge);
    /// @notice The prediction's clock is more than five minutes ahead of the chain's.
    error FromTheFuture(uint64 issuedAt);
    /// @notice A statement at a higher log index than `floor` is needed.
    error NotAfter(uint64 index, uint64 floor);
    /// @notice This twin has an open order under this agreement.
    error OrderOpen(uint256 orderId);
    /// @notice The order's state does not allow this.
    error WrongState(State state);
    /// @notice The operator's having the part is recorded already.
    error AlreadyReceived();
    /// @notice The deadline is over.
    error TooLate(uint64 deadline);
    /// @notice The deadline is not over.
    error TooEarly(uint64 deadline);
    /// @notice The token is not owned by the one who should own it.
    error WrongHolder(uint256 tokenId, address holder);
    /// @notice The part is of another part number.
    error WrongPart(bytes32 partNumber);
    /// @notice The part is quarantined, scrapped or removed from service.
    error PartUnfit(uint256 tokenId);
    /// @notice The part's offer is not to the operator, or does not end within the agreed time and a day.
    error WrongOffer(address to, uint64 expires);
    /// @notice The part serves another open order, or was paid for under it.
    error PartTaken(uint256 orderId);
    /// @notice The supplier's offer of the part still stands: it is to cancel that first.
    error OfferStands(uint256 tokenId);
    /// @notice The installation names another order.
    error WrongOrder(bytes32 orderKey);
    /// @notice The installation names another part.
    error WrongInstalledPart(bytes32 part);
    /// @notice The installation is of another twin.
    error WrongTwin(bytes32 twin);
    /// @notice More than the price cannot be given.
    error AboveThePrice(uint128 toSupplier, uint128 price);
    /// @notice The caller is owed nothing in this currency.
    error NothingOwed();
    /// @notice The receiver does not take the coin.
    error PaymentRefused(address receiver);
    /// @notice Send more gas: the part's holder must not be misjudged for lack of it.
    error NotEnoughGas();

    // --- the agreement ---------------------------------------------------------------------

    /// @notice Propose an agreement; the caller is its operator. Coin that is sent along goes into the escrow.
    /// @param terms Checked for what can never work.
    /// @param twins The twins that it covers, SHA-256 of their IRIs.
    /// @return id The agreement's number, from 1.
    function propose(Terms calldata terms, bytes32[] calldata twins) external payable returns (uint256 id);

    /// @notice Agree. For the supplier.
    function agree(uint256 id, Terms calldata terms) external;

    /// @notice Put money into the escrow; anybody may, and it is the operator's from then on. What arrives counts.
    /// @param amount For the chain's own coin, exactly what is sent along; of an ERC-20, what is taken from the caller.
    function deposit(uint256 id, Terms calldata terms, uint128 amount) external payable;

    /// @notice Take free escrow back, to be withdrawn. For the operator, at any time: an order that stands has its price.
    function reclaim(uint256 id, Terms calldata terms, uint128 amount) external;

    /// @notice Stop new orders, or no longer. For both parties, each for itself.
    function suspend(uint256 id, Terms calldata terms, bool suspended) external;

    /// @notice Stop new orders for ever. For both parties; also to take a proposal back or to decline it.
    function end(uint256 id, Terms calldata terms) external;

    // --- an order --------------------------------------------------------------------------

    /// @notice Place the order that a prediction calls for. For anybody.
    /// @dev Checked in this order: active, anchored, included, kind, signature, twin, unit, coverage, lower bound, freshness,
    /// log index, no open order, escrow.
    /// @return orderId The order, in state Placed.
    function order(uint256 id, Terms calldata terms, Proof calldata proof) external returns (uint256 orderId);

    /// @notice Take the order. For the supplier.
    function acceptOrder(uint256 orderId, Terms calldata terms) external;

    /// @notice Send a part that the supplier owns and has offered to the operator on the passport. For the supplier.
    /// The offer ends no earlier than `receiveWithin` from now and at most a day later; its end is the new deadline.
    function ship(uint256 orderId, Terms calldata terms, uint256 tokenId) external;

    /// @notice Record that the operator owns the part. For anybody, in state Shipped or, once, Disputed.
    function receivePart(uint256 orderId, Terms calldata terms) external;

    /// @notice Fulfil a shipped or received order by the technician's statement. For anybody.
    function confirmInstallation(uint256 orderId, Terms calldata terms, Proof calldata proof) external;

    /// @notice Cancel. Placed: either party alone. Accepted: the supplier alone. Else both, each by its own call since the state
    /// began; and a part that was not received must be the supplier's, without a standing offer to the operator.
    function cancelOrder(uint256 orderId, Terms calldata terms) external;

    /// @notice Ask the arbiter. For both parties, in states Shipped and Received before the deadline.
    function dispute(uint256 orderId, Terms calldata terms) external;

    /// @notice Decide a dispute before its deadline. For the arbiter.
    /// @param toSupplier For the supplier; the rest of the price is free again.
    function resolve(uint256 orderId, Terms calldata terms, uint128 toSupplier) external;

    /// @notice End a state whose deadline is over. For anybody. Placed, Accepted: refund. Shipped: refund if the supplier owns
    /// the part, Received if the operator does, else Disputed. Received: paid. Disputed: if the part was received, paid unless
    /// the supplier owns it again; else paid if the operator owns it, refund if the supplier does, else half of each.
    function expire(uint256 orderId, Terms calldata terms) external;

    // --- money -----------------------------------------------------------------------------

    /// @notice Take all that the caller is owed in a currency.
    function withdraw(address currency) external;

    /// @notice What an account may withdraw.
    function owed(address account, address currency) external view returns (uint256);

    // --- reading ---------------------------------------------------------------------------

    /// @notice An agreement and the hash of its terms; all zero if there is none.
    function agreementOf(uint256 id) external view returns (bytes32 termsHash, Agreement memory agreement);

    /// @notice An order; state None if there is none.
    function orderOf(uint256 orderId) external view returns (Order memory);

    /// @notice A twin under an agreement.
    function episodeOf(uint256 id, bytes32 twin) external view returns (Episode memory);

    /// @notice The order that a part serves or served last, or 0.
    function servedBy(address passports, uint256 tokenId) external view returns (uint256 orderId);

    /// @notice What an installation statement names the order by: `sha256(abi.encode(chainid, this, orderId))`.
    function orderKey(uint256 orderId) external view returns (bytes32);
}
