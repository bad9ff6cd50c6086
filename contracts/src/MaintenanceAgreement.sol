// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {IERC721} from "@openzeppelin/contracts/token/ERC721/IERC721.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

import {CheckpointAnchor} from "./CheckpointAnchor.sol";
import {CoseStatement} from "./CoseStatement.sol";
import {IMaintenanceAgreement} from "./IMaintenanceAgreement.sol";
import {IPartPassport} from "./IPartPassport.sol";
import {Rfc9162} from "./Rfc9162.sol";

/// @title Maintenance orders that place themselves by proof, and are paid from escrow
/// @notice See IMaintenanceAgreement. Nobody can change this code, stop it, or take what is not owed to it.
/// @dev Money leaves in `withdraw` alone. Anchors and passports are only ever asked (static calls); tokens of currencies and
/// receivers run foreign code, and find every function that changes anything closed meanwhile.
///
/// Free escrow, what open orders have set aside (the price each) and what is owed add up to what arrived, per currency.
contract MaintenanceAgreement is IMaintenanceAgreement, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    /// @notice How far a prediction's clock may be ahead of the chain's, in seconds.
    uint256 public constant CLOCK_TOLERANCE = 300;
    /// @notice How much longer than `receiveWithin` a shipped part may be on offer, in seconds.
    uint256 public constant OFFER_TOLERANCE = 1 days;

    bytes32 private constant PREDICTION = keccak256("application/vnd.twinproof.prediction+cbor");
    bytes32 private constant INSTALLATION = keccak256("application/vnd.twinproof.installation+cbor");
    /// Sets of states: bit n is state n.
    uint256 private constant PLACED = 1 << uint256(State.Placed);
    uint256 private constant ACCEPTED = 1 << uint256(State.Accepted);
    uint256 private constant SHIPPED = 1 << uint256(State.Shipped);
    uint256 private constant RECEIVED = 1 << uint256(State.Received);
    uint256 private constant DISPUTED = 1 << uint256(State.Disputed);
    uint256 private constant OPEN = PLACED | ACCEPTED | SHIPPED | RECEIVED | DISPUTED;
    uint64 private constant ONE = 0x3ff0000000000000;
    uint64 private constant INFINITE = 0x7ff0000000000000;
    /// Gas for asking a passport who holds a part, where its failure must not stop the order from ending.
    uint256 private constant HOLDER_GAS = 100_000;

    /// An order without its token: what `_save` puts into one slot.
    struct Standing {
        State state;
        uint64 index;
        uint64 installed;
        uint64 deadline;
        bool received;
        bool operatorConsents;
        bool supplierConsents;
        bool paid;
    }

    /// A twin under an agreement. The latest order's own slot tells the rest, so an order that ends writes nothing here.
    struct Covered {
        bool agreed;
        uint32 placed;
        uint32 latest;
    }

    uint256 private _count;
    mapping(uint256 id => bytes32) private _terms;
    mapping(uint256 id => Agreement) private _agreements;
    mapping(uint256 id => mapping(bytes32 twin => Covered)) private _covered;
    mapping(uint256 orderId => uint256) private _orders;
    mapping(uint256 orderId => uint256) private _tokens;
    mapping(address passports => mapping(uint256 tokenId => uint256)) private _serving;
    mapping(address account => mapping(address currency => uint256)) private _owed;

    // --- the agreement ---------------------------------------------------------------------

    /// @inheritdoc IMaintenanceAgreement
    function propose(Terms calldata terms, bytes32[] calldata twins)
        external
        payable
        nonReentrant
        returns (uint256 id)
    {
        if (msg.sender != terms.operator) revert NotAllowed(msg.sender);
        _checkTerms(terms);
        id = ++_count;
        assert(id <= type(uint32).max);
        _terms[id] = _hash(terms);
        if (twins.length == 0) revert BadTwin(0);
        for (uint256 i; i < twins.length; ++i) {
            bytes32 twin = twins[i];
            if (twin == 0 || _covered[id][twin].agreed) revert BadTwin(twin);
            _covered[id][twin].agreed = true;
        }
        emit Proposed(id, msg.sender, terms.supplier, terms, twins);
        if (msg.value == 0) return id;
        if (terms.currency != address(0)) revert WrongValue(msg.value, 0);
        _credit(id, msg.value);
    }

    /// @inheritdoc IMaintenanceAgreement
    function agree(uint256 id, Terms calldata terms) external nonReentrant {
        Agreement memory agreement = _agreement(id, terms);
        if (msg.sender != terms.supplier) revert NotAllowed(msg.sender);
        if (agreement.ended) revert AgreementEnded();
        if (agreement.agreed) revert AlreadyAgreed();
        _agreements[id].agreed = true;
        emit Agreed(id);
    }

    /// @inheritdoc IMaintenanceAgreement
    function deposit(uint256 id, Terms calldata terms, uint128 amount) external payable nonReentrant {
        if (_agreement(id, terms).ended) revert AgreementEnded();
        if (terms.currency == address(0)) {
            if (msg.value != amount) revert WrongValue(msg.value, amount);
            _credit(id, amount);
        } else {
            if (msg.value != 0) revert WrongValue(msg.value, 0);
            IERC20 token = IERC20(terms.currency);
            uint256 before = token.balanceOf(address(this));
            token.safeTransferFrom(msg.sender, address(this), amount);
            uint256 afterwards = token.balanceOf(address(this));
            _credit(id, afterwards > before ? afterwards - before : 0);
        }
    }

    /// @inheritdoc IMaintenanceAgreement
    function reclaim(uint256 id, Terms calldata terms, uint128 amount) external nonReentrant {
        Agreement memory agreement = _agreement(id, terms);
        if (msg.sender != terms.operator) revert NotAllowed(msg.sender);
        if (agreement.free < amount) revert InsufficientEscrow(agreement.free, amount);
        _agreements[id].free = agreement.free - amount;
        _owed[terms.operator][terms.currency] += amount;
        emit Reclaimed(id, amount);
    }

    /// @inheritdoc IMaintenanceAgreement
    function suspend(uint256 id, Terms calldata terms, bool suspended) external nonReentrant {
        Agreement memory agreement = _agreement(id, terms);
        bool operator = _isOperator(terms);
        if (agreement.ended) revert AgreementEnded();
        if (operator) _agreements[id].suspendedByOperator = suspended;
        else _agreements[id].suspendedBySupplier = suspended;
        emit Suspended(id, msg.sender, suspended);
    }

    /// @inheritdoc IMaintenanceAgreement
    function end(uint256 id, Terms calldata terms) external nonReentrant {
        Agreement memory agreement = _agreement(id, terms);
        _isOperator(terms);
        if (agreement.ended) revert AgreementEnded();
        _agreements[id].ended = true;
        emit Ended(id, msg.sender);
    }

    // --- an order --------------------------------------------------------------------------

    /// @inheritdoc IMaintenanceAgreement
    function order(uint256 id, Terms calldata terms, Proof calldata proof)
        external
        nonReentrant
        returns (uint256 orderId)
    {
        Agreement memory agreement = _agreement(id, terms);
        if (!agreement.agreed || agreement.suspendedByOperator || agreement.suspendedBySupplier || agreement.ended) {
            revert NotActive();
        }
        CoseStatement.Parsed memory parsed = _prove(terms, proof);
        if (parsed.contentType != PREDICTION) revert WrongKind(parsed.contentType);
        CoseStatement.checkSignature(proof.statement, parsed, terms.predictor);
        Covered memory covered = _covered[id][parsed.subject];
        if (!covered.agreed) revert TwinNotCovered(parsed.subject);
        uint64 lower = _checkPrediction(terms, proof.statement, parsed);
        if (covered.latest != 0) {
            uint256 latest = _orderId(id, covered.latest);
            Standing memory previous = _load(latest);
            uint64 floor = _floor(previous);
            if (proof.index <= floor) revert NotAfter(proof.index, floor);
            if (_isOpen(previous.state)) revert OrderOpen(latest);
        }
        if (agreement.free < terms.price) revert InsufficientEscrow(agreement.free, terms.price);

        agreement.free -= terms.price;
        agreement.orders += 1;
        _agreements[id] = agreement;
        covered.placed += 1;
        covered.latest = agreement.orders;
        _covered[id][parsed.subject] = covered;
        orderId = _orderId(id, agreement.orders);
        Standing memory placed;
        placed.index = proof.index;
        _begin(orderId, placed, State.Placed, _in(terms.acceptWithin));
        emit OrderPlaced(orderId, id, parsed.subject, proof.index, lower, placed.deadline);
    }

    /// @inheritdoc IMaintenanceAgreement
    function acceptOrder(uint256 orderId, Terms calldata terms) external nonReentrant {
        Standing memory standing = _standing(orderId, terms, PLACED);
        if (msg.sender != terms.supplier) revert NotAllowed(msg.sender);
        _checkInTime(standing);
        _begin(orderId, standing, State.Accepted, _in(terms.shipWithin));
        emit OrderAccepted(orderId, standing.deadline);
    }

    /// @inheritdoc IMaintenanceAgreement
    function ship(uint256 orderId, Terms calldata terms, uint256 tokenId) external nonReentrant {
        Standing memory standing = _standing(orderId, terms, ACCEPTED);
        if (msg.sender != terms.supplier) revert NotAllowed(msg.sender);
        _checkInTime(standing);
        uint64 expires = _checkPart(terms, tokenId);
        uint256 served = _serving[terms.passports][tokenId];
        if (served != 0) {
            Standing memory previous = _load(served);
            if (previous.paid || _isOpen(previous.state)) revert PartTaken(served);
        }
        _serving[terms.passports][tokenId] = orderId;
        _tokens[orderId] = tokenId;
        _begin(orderId, standing, State.Shipped, expires);
        emit OrderShipped(orderId, tokenId, expires);
    }

    /// @inheritdoc IMaintenanceAgreement
    function receivePart(uint256 orderId, Terms calldata terms) external nonReentrant {
        Standing memory standing = _standing(orderId, terms, SHIPPED | DISPUTED);
        if (standing.received) revert AlreadyReceived();
        uint256 tokenId = _tokens[orderId];
        address holder = IERC721(terms.passports).ownerOf(tokenId);
        if (holder != terms.operator) revert WrongHolder(tokenId, holder);
        _receive(orderId, standing, terms);
    }

    /// @inheritdoc IMaintenanceAgreement
    function confirmInstallation(uint256 orderId, Terms calldata terms, Proof calldata proof) external nonReentrant {
        Standing memory standing = _standing(orderId, terms, SHIPPED | RECEIVED);
        CoseStatement.Parsed memory parsed = _prove(terms, proof);
        if (parsed.contentType != INSTALLATION) revert WrongKind(parsed.contentType);
        CoseStatement.checkSignature(proof.statement, parsed, terms.technician);
        // The order is open, so it is the latest of its twin.
        if (_covered[orderId >> 32][parsed.subject].latest != uint32(orderId)) revert WrongTwin(parsed.subject);
        (bytes32 key, bytes32 part) = CoseStatement.installation(CoseStatement.payloadOf(proof.statement, parsed));
        if (key != orderKey(orderId)) revert WrongOrder(key);
        if (part != bytes32(_tokens[orderId])) revert WrongInstalledPart(part);
        if (proof.index <= standing.index) revert NotAfter(proof.index, standing.index);
        standing.installed = proof.index;
        _pay(orderId, standing, terms);
    }

    /// @inheritdoc IMaintenanceAgreement
    function cancelOrder(uint256 orderId, Terms calldata terms) external nonReentrant {
        Standing memory standing = _standing(orderId, terms, OPEN);
        bool operator = _isOperator(terms);
        State state = standing.state;
        if (state == State.Placed || (state == State.Accepted && !operator)) {
            Reason reason = operator ? Reason.OperatorWithdrew : Reason.SupplierRefused;
            _refund(orderId, standing, terms, State.Cancelled, reason);
            return;
        }
        if (operator) standing.operatorConsents = true;
        else standing.supplierConsents = true;
        emit CancellationAsked(orderId, msg.sender);
        if (standing.operatorConsents && standing.supplierConsents) {
            // Else whoever consents last could take the part first.
            if (!standing.received) _checkWithSupplier(terms, _tokens[orderId]);
            _refund(orderId, standing, terms, State.Cancelled, Reason.BothAgreed);
        } else {
            _save(orderId, standing);
        }
    }

    /// @inheritdoc IMaintenanceAgreement
    function dispute(uint256 orderId, Terms calldata terms) external nonReentrant {
        Standing memory standing = _standing(orderId, terms, SHIPPED | RECEIVED);
        _isOperator(terms);
        _checkInTime(standing);
        _dispute(orderId, standing, terms);
    }

    /// @inheritdoc IMaintenanceAgreement
    function resolve(uint256 orderId, Terms calldata terms, uint128 toSupplier) external nonReentrant {
        Standing memory standing = _standing(orderId, terms, DISPUTED);
        if (msg.sender != terms.arbiter) revert NotAllowed(msg.sender);
        _checkInTime(standing);
        if (toSupplier > terms.price) revert AboveThePrice(toSupplier, terms.price);
        _resolve(orderId, standing, terms, toSupplier);
    }

    /// @inheritdoc IMaintenanceAgreement
    function expire(uint256 orderId, Terms calldata terms) external nonReentrant {
        Standing memory standing = _standing(orderId, terms, OPEN);
        State state = standing.state;
        if (block.timestamp < standing.deadline) revert TooEarly(standing.deadline);
        if (state == State.Placed) {
            _refund(orderId, standing, terms, State.Refunded, Reason.NotAccepted);
        } else if (state == State.Accepted) {
            _refund(orderId, standing, terms, State.Refunded, Reason.NotShipped);
        } else if (state == State.Received) {
            _pay(orderId, standing, terms);
        } else {
            address holder = _holder(terms.passports, _tokens[orderId]);
            if (state == State.Disputed) {
                _resolve(orderId, standing, terms, _withoutArbiter(terms, standing.received, holder));
            } else if (holder == terms.operator) {
                _receive(orderId, standing, terms);
            } else if (holder == terms.supplier) {
                _refund(orderId, standing, terms, State.Refunded, Reason.NotReceived);
            } else {
                // The operator may have passed the part on, or the supplier sold it elsewhere: the chain cannot tell.
                _dispute(orderId, standing, terms);
            }
        }
    }

    // --- money -----------------------------------------------------------------------------

    /// @inheritdoc IMaintenanceAgreement
    function withdraw(address currency) external nonReentrant {
        uint256 amount = _owed[msg.sender][currency];
        if (amount == 0) revert NothingOwed();
        _owed[msg.sender][currency] = 0;
        emit Withdrawn(msg.sender, currency, amount);
        if (currency == address(0)) {
            bool sent;
            address to = msg.sender;
            // What the receiver returns is not copied: it could be large.
            assembly ("memory-safe") {
                sent := call(gas(), to, amount, 0, 0, 0, 0)
            }
            if (!sent) revert PaymentRefused(to);
        } else {
            IERC20(currency).safeTransfer(msg.sender, amount);
        }
    }

    /// @inheritdoc IMaintenanceAgreement
    function owed(address account, address currency) external view returns (uint256) {
        return _owed[account][currency];
    }

    // --- reading ---------------------------------------------------------------------------

    /// @inheritdoc IMaintenanceAgreement
    function agreementOf(uint256 id) external view returns (bytes32 termsHash, Agreement memory agreement) {
        return (_terms[id], _agreements[id]);
    }

    /// @inheritdoc IMaintenanceAgreement
    function orderOf(uint256 orderId) external view returns (Order memory) {
        Standing memory standing = _load(orderId);
        return Order({
            state: standing.state,
            index: standing.index,
            installed: standing.installed,
            deadline: standing.deadline,
            received: standing.received,
            operatorConsents: standing.operatorConsents,
            supplierConsents: standing.supplierConsents,
            paid: standing.paid,
            tokenId: _tokens[orderId]
        });
    }

    /// @inheritdoc IMaintenanceAgreement
    function episodeOf(uint256 id, bytes32 twin) external view returns (Episode memory episode) {
        Covered memory covered = _covered[id][twin];
        episode.agreed = covered.agreed;
        if (covered.latest == 0) return episode;
        episode.orderId = _orderId(id, covered.latest);
        Standing memory standing = _load(episode.orderId);
        episode.open = _isOpen(standing.state);
        episode.number = covered.placed - (episode.open ? 1 : 0);
        episode.floor = _floor(standing);
    }

    /// @inheritdoc IMaintenanceAgreement
    function servedBy(address passports, uint256 tokenId) external view returns (uint256 orderId) {
        return _serving[passports][tokenId];
    }

    /// @inheritdoc IMaintenanceAgreement
    function orderKey(uint256 orderId) public view returns (bytes32) {
        return sha256(abi.encode(block.chainid, address(this), orderId));
    }

    // --- checks ----------------------------------------------------------------------------

    /// The agreement, if these are its terms.
    function _agreement(uint256 id, Terms calldata terms) private view returns (Agreement memory) {
        if (_terms[id] != _hash(terms)) revert WrongTerms();
        return _agreements[id];
    }

    /// keccak256(abi.encode(terms)): the caller's encoding is hashed as it stands, so any other than the one that the event
    /// `Proposed` repeated has another hash.
    function _hash(Terms calldata terms) private pure returns (bytes32 hash) {
        uint256 size = 22 * 32;
        assembly ("memory-safe") {
            let free := mload(0x40)
            calldatacopy(free, terms, size)
            hash := keccak256(free, size)
        }
    }

    /// The order, if these are its terms and it is in one of these states (bit n: state n).
    function _standing(uint256 orderId, Terms calldata terms, uint256 states)
        private
        view
        returns (Standing memory standing)
    {
        if (_terms[orderId >> 32] != _hash(terms)) revert WrongTerms();
        standing = _load(orderId);
        if (states >> uint256(standing.state) & 1 == 0) revert WrongState(standing.state);
    }

    function _checkTerms(Terms calldata terms) private view {
        address supplier = terms.supplier;
        address arbiter = terms.arbiter;
        address currency = terms.currency;
        string memory bad;
        if (supplier == address(0) || supplier == msg.sender) bad = "supplier";
        else if (arbiter == supplier || arbiter == msg.sender) bad = "arbiter";
        else if (terms.anchors.code.length == 0) bad = "anchors";
        else if (terms.passports.code.length == 0) bad = "passports";
        else if (terms.below == 0 || terms.below >= INFINITE) bad = "below";
        else if (terms.coverage > ONE) bad = "coverage";
        else if (currency != address(0) && currency.code.length == 0) bad = "currency";
        else if (terms.price == 0) bad = "price";
        else if (terms.maxAge == 0) bad = "maxAge";
        else if (terms.acceptWithin == 0) bad = "acceptWithin";
        else if (terms.shipWithin == 0) bad = "shipWithin";
        else if (terms.receiveWithin == 0) bad = "receiveWithin";
        else if (terms.installWithin == 0) bad = "installWithin";
        else if (terms.disputeWithin == 0) bad = "disputeWithin";
        if (bytes(bad).length != 0) revert BadTerms(bad);
    }

    /// Whether the caller is the operator; else it is the supplier.
    function _isOperator(Terms calldata terms) private view returns (bool operator) {
        operator = msg.sender == terms.operator;
        if (!operator && msg.sender != terms.supplier) revert NotAllowed(msg.sender);
    }

    /// The statement, if it is in the agreement's log. Its kind and signature are the caller's to check.
    function _prove(Terms calldata terms, Proof calldata proof)
        private
        view
        returns (CoseStatement.Parsed memory parsed)
    {
        if (!CheckpointAnchor(terms.anchors).isAnchored(terms.logId, proof.head)) {
            revert NotAnchored(terms.logId, proof.head.size);
        }
        Rfc9162.checkInclusion(
            Rfc9162.hashLeaf(proof.statement), proof.index, proof.head.size, proof.path, proof.head.root
        );
        parsed = CoseStatement.parse(proof.statement);
    }

    /// The prediction's lower bound, if it calls for an order now.
    function _checkPrediction(Terms calldata terms, bytes calldata statement, CoseStatement.Parsed memory parsed)
        private
        view
        returns (uint64)
    {
        (uint64 lower,,, uint64 coverage, bytes32 unit) =
            CoseStatement.prediction(CoseStatement.payloadOf(statement, parsed));
        if (unit != terms.unit) revert WrongUnit(unit);
        if (coverage < terms.coverage) revert CoverageTooLow(coverage, terms.coverage);
        if (lower >= terms.below) revert NotBelow(lower, terms.below);
        uint256 issuedAt = parsed.issuedAt;
        if (issuedAt + terms.maxAge < block.timestamp) revert Stale(parsed.issuedAt, terms.maxAge);
        if (issuedAt > block.timestamp + CLOCK_TOLERANCE) revert FromTheFuture(parsed.issuedAt);
        return lower;
    }

    /// The end of the part's offer to the operator, if the part may be shipped.
    function _checkPart(Terms calldata terms, uint256 tokenId) private view returns (uint64) {
        address holder = IERC721(terms.passports).ownerOf(tokenId);
        if (holder != terms.supplier) revert WrongHolder(tokenId, holder);
        IPartPassport passports = IPartPassport(terms.passports);
        IPartPassport.Part memory part = passports.partOf(tokenId);
        if (part.partNumber != terms.partNumber) revert WrongPart(part.partNumber);
        if (part.status != IPartPassport.Status.InService) revert PartUnfit(tokenId);
        (address to, uint64 expires) = passports.offerOf(tokenId);
        uint256 earliest = _in(terms.receiveWithin);
        if (to != terms.operator || expires < earliest || expires > earliest + OFFER_TOLERANCE) {
            revert WrongOffer(to, expires);
        }
        return expires;
    }

    /// Refuse unless the supplier has the part and the operator cannot take it.
    function _checkWithSupplier(Terms calldata terms, uint256 tokenId) private view {
        address holder = IERC721(terms.passports).ownerOf(tokenId);
        if (holder != terms.supplier) revert WrongHolder(tokenId, holder);
        (address to, uint64 expires) = IPartPassport(terms.passports).offerOf(tokenId);
        if (to == terms.operator && expires > block.timestamp) revert OfferStands(tokenId);
    }

    function _checkInTime(Standing memory standing) private view {
        if (block.timestamp >= standing.deadline) revert TooLate(standing.deadline);
    }

    /// Who owns the part; 0 if the passport does not say so. Orders end with a broken passport, too.
    function _holder(address passports, uint256 tokenId) private view returns (address holder) {
        // With less, the passport could run out of gas and this contract not: whoever called would choose the answer.
        if (gasleft() < 2 * HOLDER_GAS) revert NotEnoughGas();
        bytes4 selector = IERC721.ownerOf.selector;
        uint256 limit = HOLDER_GAS;
        assembly ("memory-safe") {
            mstore(0x00, selector)
            mstore(0x04, tokenId)
            if and(gt(returndatasize(), 0x1f), staticcall(limit, passports, 0x00, 0x24, 0x00, 0x20)) {
                let word := mload(0x00)
                if iszero(shr(160, word)) { holder := word }
            }
        }
    }

    /// What the supplier gets of a dispute that the arbiter did not decide.
    function _withoutArbiter(Terms calldata terms, bool received, address holder) private pure returns (uint128) {
        if (holder == terms.supplier) return 0;
        // It was the operator's: whoever has it now has it from the operator.
        if (received || holder == terms.operator) return terms.price;
        // One of them gave it away and it cannot be told which: neither shall gain more than half by it.
        return terms.price / 2;
    }

    // --- changes ---------------------------------------------------------------------------

    function _credit(uint256 id, uint256 amount) private {
        uint256 free = _agreements[id].free;
        if (amount == 0 || amount > type(uint128).max - free) revert NothingArrived();
        _agreements[id].free = uint128(free + amount);
        emit Deposited(id, msg.sender, uint128(amount));
    }

    function _begin(uint256 orderId, Standing memory standing, State state, uint64 deadline) private {
        standing.state = state;
        standing.deadline = deadline;
        standing.operatorConsents = false;
        standing.supplierConsents = false;
        _save(orderId, standing);
    }

    /// The operator has the part. A dispute goes on all the same.
    function _receive(uint256 orderId, Standing memory standing, Terms calldata terms) private {
        standing.received = true;
        if (standing.state == State.Disputed) _begin(orderId, standing, State.Disputed, standing.deadline);
        else _begin(orderId, standing, State.Received, _in(terms.installWithin));
        emit OrderReceived(orderId, standing.deadline);
    }

    /// The deadline does not come before that of the offer, so that nobody is refunded and then takes the part.
    function _dispute(uint256 orderId, Standing memory standing, Terms calldata terms) private {
        uint64 deadline = _in(terms.disputeWithin);
        if (standing.state == State.Shipped && deadline < standing.deadline) deadline = standing.deadline;
        _begin(orderId, standing, State.Disputed, deadline);
        emit OrderDisputed(orderId, msg.sender, deadline);
    }

    function _pay(uint256 orderId, Standing memory standing, Terms calldata terms) private {
        standing.paid = true;
        _begin(orderId, standing, State.Fulfilled, standing.deadline);
        _owed[terms.supplier][terms.currency] += terms.price;
        emit OrderFulfilled(orderId, terms.price);
    }

    function _refund(uint256 orderId, Standing memory standing, Terms calldata terms, State state, Reason reason)
        private
    {
        _begin(orderId, standing, state, standing.deadline);
        _release(orderId >> 32, terms, terms.price);
        emit OrderCancelled(orderId, reason);
    }

    function _resolve(uint256 orderId, Standing memory standing, Terms calldata terms, uint128 toSupplier) private {
        standing.paid = toSupplier != 0;
        _begin(orderId, standing, State.Resolved, standing.deadline);
        if (toSupplier != 0) _owed[terms.supplier][terms.currency] += toSupplier;
        if (toSupplier != terms.price) _release(orderId >> 32, terms, terms.price - toSupplier);
        emit OrderResolved(orderId, msg.sender, toSupplier);
    }

    /// Back into the free escrow; if deposits of a boundless token have filled that meanwhile, to the operator.
    function _release(uint256 id, Terms calldata terms, uint128 amount) private {
        uint128 free = _agreements[id].free;
        if (amount > type(uint128).max - free) _owed[terms.operator][terms.currency] += amount;
        else _agreements[id].free = free + amount;
    }

    /// By hand: what the compiler makes of a packed struct is ten times as long, at each of its uses.
    function _save(uint256 orderId, Standing memory standing) private {
        uint256 flags = (standing.received ? 1 : 0) | (standing.operatorConsents ? 2 : 0)
            | (standing.supplierConsents ? 4 : 0) | (standing.paid ? 8 : 0);
        _orders[orderId] = uint256(standing.index) | uint256(standing.installed) << 64
            | uint256(standing.deadline) << 128 | uint256(standing.state) << 192 | flags << 200;
    }

    function _load(uint256 orderId) private view returns (Standing memory standing) {
        uint256 word = _orders[orderId];
        standing.index = uint64(word);
        standing.installed = uint64(word >> 64);
        standing.deadline = uint64(word >> 128);
        standing.state = State(uint8(word >> 192));
        standing.received = word >> 200 & 1 != 0;
        standing.operatorConsents = word >> 200 & 2 != 0;
        standing.supplierConsents = word >> 200 & 4 != 0;
        standing.paid = word >> 200 & 8 != 0;
    }

    // --- small things ----------------------------------------------------------------------

    function _in(uint32 interval) private view returns (uint64) {
        return uint64(block.timestamp) + interval;
    }

    function _orderId(uint256 id, uint32 number) private pure returns (uint256) {
        return id << 32 | number;
    }

    function _isOpen(State state) private pure returns (bool) {
        return OPEN >> uint256(state) & 1 == 1;
    }

    function _floor(Standing memory standing) private pure returns (uint64) {
        return standing.installed > standing.index ? standing.installed : standing.index;
    }
}
