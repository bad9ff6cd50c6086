// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";
import {ERC721} from "@openzeppelin/contracts/token/ERC721/ERC721.sol";

import {IPartPassport} from "./IPartPassport.sol";

/// @title Passports of physical parts, and batches
/// @notice See IPartPassport. There is no way to change this code or to move a part without its owner.
contract PartPassport is IPartPassport, ERC721, AccessControl {
    /// @notice Who may accredit manufacturers, quarantine any part and release any quarantine.
    bytes32 public constant ACCREDITOR_ROLE = keccak256("ACCREDITOR_ROLE");
    /// @notice How many levels an assembly has below its root.
    uint256 public constant MAX_DEPTH = 16;
    /// @notice The longest part number, serial or lot, in bytes.
    uint256 public constant MAX_TEXT = 128;

    /// Who quarantined, in rising order of strength.
    enum Holder {
        Nobody,
        Owner,
        Manufacturer,
        Accreditor
    }

    /// One storage slot.
    struct Core {
        address manufacturer;
        Status status;
        Holder holder;
        uint8 height; // an upper bound, and above that of every part in it
        uint16 children;
        bytes7 partKey; // first bytes of the part number's hash: the key in _partNumbers
    }

    struct Offer {
        address to;
        uint64 expires;
    }

    struct Totals {
        address manufacturer;
        bytes7 partKey;
        uint64 released;
        uint64 installed;
        uint64 scrapped;
    }

    struct Stock {
        uint64 available;
        uint64 offered;
    }

    struct QuantityOffer {
        uint64 quantity;
        uint64 expires;
    }

    mapping(address manufacturer => bool) private _accredited;
    /// A part number is kept once per manufacturer, not once per part, which saves a mint 20,000 gas.
    mapping(address manufacturer => mapping(bytes7 partKey => bytes32)) private _partNumbers;
    mapping(uint256 tokenId => Core) private _cores;
    mapping(uint256 tokenId => bytes32) private _twins;
    /// Of parts and of batches: their ids cannot meet.
    mapping(uint256 id => bytes32) private _births;
    mapping(uint256 tokenId => uint256) private _parents;
    mapping(uint256 tokenId => Offer) private _offers;
    mapping(uint256 tokenId => address) private _users;
    mapping(uint256 batchId => Totals) private _batches;
    mapping(uint256 batchId => mapping(address owner => Stock)) private _stocks;
    mapping(uint256 batchId => mapping(address from => mapping(address to => QuantityOffer))) private _quantityOffers;
    mapping(uint256 batchId => mapping(uint256 parent => uint64)) private _installed;

    /// @param admin gets DEFAULT_ADMIN_ROLE and ACCREDITOR_ROLE and may pass both on
    constructor(address admin) ERC721("Twinproof Part Passport", "PART") {
        _grantRole(DEFAULT_ADMIN_ROLE, admin);
        _grantRole(ACCREDITOR_ROLE, admin);
    }

    // --- manufacturers ---------------------------------------------------------------------

    /// @inheritdoc IPartPassport
    function setAccredited(address manufacturer, bool accredited) external onlyRole(ACCREDITOR_ROLE) {
        _accredited[manufacturer] = accredited;
        emit Accredited(manufacturer, accredited);
    }

    /// @inheritdoc IPartPassport
    function mint(string calldata partNumber, string calldata serial, bytes32 twin, bytes32 birth)
        external
        returns (uint256 tokenId)
    {
        bytes7 key = _checkOrigin(partNumber, serial, birth);
        if (twin == 0) revert MissingHash();
        tokenId = uint256(keccak256(abi.encode(msg.sender, partNumber, serial)));
        if (_ownerOf(tokenId) != address(0)) revert AlreadyExists(tokenId);
        _update(msg.sender, tokenId, address(0));
        _cores[tokenId] = Core(msg.sender, Status.InService, Holder.Nobody, 0, 0, key);
        _twins[tokenId] = twin;
        _births[tokenId] = birth;
        emit Minted(tokenId, msg.sender, twin, partNumber, serial, birth);
    }

    /// @inheritdoc IPartPassport
    function releaseBatch(string calldata partNumber, string calldata lot, uint64 quantity, bytes32 birth)
        external
        returns (uint256 batchId)
    {
        bytes7 key = _checkOrigin(partNumber, lot, birth);
        if (quantity == 0) revert ZeroQuantity();
        batchId = uint256(keccak256(abi.encode("batch", msg.sender, partNumber, lot)));
        if (_batches[batchId].manufacturer != address(0)) revert AlreadyExists(batchId);
        _batches[batchId] = Totals(msg.sender, key, quantity, 0, 0);
        _stocks[batchId][msg.sender].available = quantity;
        _births[batchId] = birth;
        emit BatchReleased(batchId, msg.sender, partNumber, lot, quantity, birth);
    }

    // --- hand-over -------------------------------------------------------------------------

    /// @inheritdoc IPartPassport
    function offer(uint256 tokenId, address to, uint64 expires) external {
        _requireOwner(tokenId);
        _requireSound(tokenId, _cores[tokenId].status);
        uint256 parent = _parents[tokenId];
        if (parent != 0) revert StillInstalled(tokenId, parent);
        Offer storage open = _offers[tokenId];
        if (block.timestamp < open.expires) revert AlreadyOffered(tokenId, open.to);
        _checkTerms(tokenId, to, expires);
        _offers[tokenId] = Offer(to, expires);
        emit Offered(tokenId, msg.sender, to, expires);
    }

    /// @inheritdoc IPartPassport
    function accept(uint256 tokenId) external {
        address from = _takeOffer(tokenId);
        if (_cores[tokenId].children != 0) revert AssemblyMismatch(tokenId);
        _handOver(tokenId, from);
    }

    /// @inheritdoc IPartPassport
    function acceptAssembly(uint256 tokenId, uint256[] calldata parts) external {
        address from = _takeOffer(tokenId);
        _handOver(tokenId, from);
        uint256 expected = _cores[tokenId].children;
        for (uint256 i = 0; i < parts.length; ++i) {
            uint256 part = parts[i];
            // A part and its parent always have one owner. So a part that is still the giver's, with a parent that is not, is
            // in a part that was handed over a moment ago, and it is counted once.
            uint256 parent = _parents[part];
            if (parent == 0 || _ownerOf(part) != from || _ownerOf(parent) != msg.sender) revert AssemblyMismatch(part);
            Core storage core = _cores[part];
            _requireSound(part, core.status);
            expected += core.children;
            _handOver(part, from);
        }
        if (expected != parts.length) revert AssemblyMismatch(tokenId);
    }

    /// @inheritdoc IPartPassport
    function cancelOffer(uint256 tokenId) external {
        address owner = _requireOwned(tokenId);
        address to = _offers[tokenId].to;
        if (to == address(0) || (msg.sender != owner && msg.sender != to)) revert NotOffered(tokenId, msg.sender);
        _endOffer(tokenId);
    }

    /// @inheritdoc IPartPassport
    function setUser(uint256 tokenId, address user) external {
        _requireOwner(tokenId);
        if (user != address(0)) _requireSound(tokenId, _cores[tokenId].status);
        _users[tokenId] = user;
        emit UserAssigned(tokenId, user);
    }

    // --- status and place ------------------------------------------------------------------

    /// @inheritdoc IPartPassport
    function setStatus(uint256 tokenId, Status status, bytes32 leaf) external {
        address owner = _requireOwned(tokenId);
        Core storage core = _cores[tokenId];
        Status was = core.status;
        Holder holder = core.holder;
        bool allowed;
        if (was == Status.Scrapped) {
            revert WrongStatus(tokenId, was);
        } else if (status == Status.Quarantined) {
            Holder caller = _strength(owner, core.manufacturer);
            allowed = caller > holder;
            holder = caller;
        } else if (was == Status.Quarantined && status != Status.Scrapped) {
            allowed = (holder == Holder.Owner && msg.sender == owner)
                || (holder == Holder.Manufacturer && msg.sender == core.manufacturer && _accredited[msg.sender])
                || hasRole(ACCREDITOR_ROLE, msg.sender);
            holder = Holder.Nobody;
        } else {
            allowed = status != was && msg.sender == owner;
            holder = Holder.Nobody;
        }
        if (!allowed) revert StatusRefused(tokenId, was, status, msg.sender);
        if (status == Status.Removed) {
            uint256 parent = _parents[tokenId];
            if (parent != 0) revert StillInstalled(tokenId, parent);
        } else if (status != Status.InService) {
            _endOffer(tokenId);
        }
        (core.status, core.holder) = (status, holder);
        emit StatusChanged(tokenId, status, leaf, msg.sender);
    }

    /// @inheritdoc IPartPassport
    function install(uint256 child, uint256 parent) external {
        _requireOwner(child);
        _requireOwner(parent);
        uint256 old = _parents[child];
        if (old != 0) revert StillInstalled(child, old);
        Core storage core = _cores[child];
        if (core.status != Status.InService) revert WrongStatus(child, core.status);
        _requireSound(parent, _cores[parent].status);
        uint256 height = core.height;
        // The child is in no other part: if it is above the parent, it is at the top.
        for (uint256 above = parent; above != 0; above = _parents[above]) {
            if (above == child) revert Cycle(child, parent);
            if (++height > MAX_DEPTH) revert TooDeep(child, parent);
            if (_cores[above].height < height) _cores[above].height = uint8(height);
        }
        _cores[parent].children += 1;
        _parents[child] = parent;
        _endOffer(child);
        emit Installed(child, parent);
    }

    /// @inheritdoc IPartPassport
    function remove(uint256 child) external {
        _requireOwner(child);
        uint256 parent = _parents[child];
        if (parent == 0) revert NotInstalled(child);
        Core storage core = _cores[parent];
        core.children -= 1;
        if (core.children == 0) core.height = 0;
        _parents[child] = 0;
        emit Removed(child, parent);
    }

    // --- quantities ------------------------------------------------------------------------

    /// @inheritdoc IPartPassport
    function offerQuantity(uint256 batchId, address to, uint64 quantity, uint64 expires) external {
        Stock storage stock = _stocks[batchId][msg.sender];
        QuantityOffer storage open = _quantityOffers[batchId][msg.sender][to];
        if (open.quantity != 0) {
            if (block.timestamp < open.expires) revert AlreadyOffered(batchId, to);
            _endQuantityOffer(batchId, msg.sender, to);
        }
        _checkTerms(batchId, to, expires);
        _take(batchId, stock, quantity);
        stock.offered += quantity;
        _quantityOffers[batchId][msg.sender][to] = QuantityOffer(quantity, expires);
        emit QuantityOffered(batchId, msg.sender, to, quantity, expires);
    }

    /// @inheritdoc IPartPassport
    function acceptQuantity(uint256 batchId, address from, uint64 quantity) external {
        QuantityOffer memory open = _quantityOffers[batchId][from][msg.sender];
        if (open.quantity == 0) revert NotOffered(batchId, msg.sender);
        if (block.timestamp >= open.expires) revert OfferExpired(batchId, open.expires);
        if (open.quantity != quantity) revert WrongQuantity(batchId, open.quantity, quantity);
        delete _quantityOffers[batchId][from][msg.sender];
        _stocks[batchId][from].offered -= quantity;
        _stocks[batchId][msg.sender].available += quantity;
        emit QuantityHandedOver(batchId, from, msg.sender, quantity);
    }

    /// @inheritdoc IPartPassport
    function cancelQuantity(uint256 batchId, address from, address to) external {
        bool party = msg.sender == from || msg.sender == to;
        if (!party || _quantityOffers[batchId][from][to].quantity == 0) revert NotOffered(batchId, msg.sender);
        _endQuantityOffer(batchId, from, to);
    }

    /// @inheritdoc IPartPassport
    function installQuantity(uint256 batchId, uint256 parent, uint64 quantity) external {
        _requireOwner(parent);
        _requireSound(parent, _cores[parent].status);
        _take(batchId, _stocks[batchId][msg.sender], quantity);
        _installed[batchId][parent] += quantity;
        _batches[batchId].installed += quantity;
        emit QuantityInstalled(batchId, parent, quantity);
    }

    /// @inheritdoc IPartPassport
    function removeQuantity(uint256 batchId, uint256 parent, uint64 quantity, bool scrap) external {
        _requireOwner(parent);
        if (quantity == 0) revert ZeroQuantity();
        uint64 there = _installed[batchId][parent];
        if (there < quantity) revert InsufficientQuantity(batchId, there, quantity);
        _installed[batchId][parent] = there - quantity;
        _batches[batchId].installed -= quantity;
        if (scrap) _batches[batchId].scrapped += quantity;
        else _stocks[batchId][msg.sender].available += quantity;
        emit QuantityRemoved(batchId, parent, quantity, scrap);
    }

    /// @inheritdoc IPartPassport
    function scrapQuantity(uint256 batchId, uint64 quantity) external {
        _take(batchId, _stocks[batchId][msg.sender], quantity);
        _batches[batchId].scrapped += quantity;
        emit QuantityScrapped(batchId, msg.sender, quantity);
    }

    // --- reading ---------------------------------------------------------------------------

    /// @inheritdoc IPartPassport
    function isAccredited(address manufacturer) external view returns (bool) {
        return _accredited[manufacturer];
    }

    /// @inheritdoc IPartPassport
    function partOf(uint256 tokenId) external view returns (Part memory) {
        _requireOwned(tokenId);
        Core memory core = _cores[tokenId];
        return Part({
            manufacturer: core.manufacturer,
            partNumber: _partNumbers[core.manufacturer][core.partKey],
            twin: _twins[tokenId],
            birth: _births[tokenId],
            status: core.status,
            parent: _parents[tokenId]
        });
    }

    /// @inheritdoc IPartPassport
    function parentOf(uint256 tokenId) external view returns (uint256) {
        _requireOwned(tokenId);
        return _parents[tokenId];
    }

    /// @inheritdoc IPartPassport
    function childCount(uint256 tokenId) external view returns (uint256) {
        _requireOwned(tokenId);
        return _cores[tokenId].children;
    }

    /// @inheritdoc IPartPassport
    function offerOf(uint256 tokenId) external view returns (address to, uint64 expires) {
        _requireOwned(tokenId);
        return (_offers[tokenId].to, _offers[tokenId].expires);
    }

    /// @inheritdoc IPartPassport
    function userOf(uint256 tokenId) external view returns (address) {
        _requireOwned(tokenId);
        return _users[tokenId];
    }

    /// @inheritdoc IPartPassport
    function batchOf(uint256 batchId) external view returns (Batch memory) {
        Totals memory totals = _batches[batchId];
        if (totals.manufacturer == address(0)) revert NoSuchBatch(batchId);
        return Batch({
            manufacturer: totals.manufacturer,
            partNumber: _partNumbers[totals.manufacturer][totals.partKey],
            birth: _births[batchId],
            released: totals.released,
            installed: totals.installed,
            scrapped: totals.scrapped
        });
    }

    /// @inheritdoc IPartPassport
    function heldOf(uint256 batchId, address owner) external view returns (uint64 available, uint64 offered) {
        return (_stocks[batchId][owner].available, _stocks[batchId][owner].offered);
    }

    /// @inheritdoc IPartPassport
    function quantityOfferOf(uint256 batchId, address from, address to)
        external
        view
        returns (uint64 quantity, uint64 expires)
    {
        QuantityOffer storage open = _quantityOffers[batchId][from][to];
        return (open.quantity, open.expires);
    }

    /// @inheritdoc IPartPassport
    function installedIn(uint256 batchId, uint256 parent) external view returns (uint64) {
        return _installed[batchId][parent];
    }

    /// @notice ERC-165: ERC-721 with its metadata, and access control. ERC-4519 is not claimed: see IPartPassport.
    function supportsInterface(bytes4 interfaceId) public view override(ERC721, AccessControl) returns (bool) {
        return super.supportsInterface(interfaceId);
    }

    // --- ERC-721's ways that are closed ----------------------------------------------------

    /// @notice Refused: parts change hands by offer and acceptance.
    function approve(address, uint256) public pure override {
        revert HandOverOnly();
    }

    /// @notice Refused: parts change hands by offer and acceptance.
    function setApprovalForAll(address, bool) public pure override {
        revert HandOverOnly();
    }

    /// @notice Refused: parts change hands by offer and acceptance.
    function transferFrom(address, address, uint256) public pure override {
        revert HandOverOnly();
    }

    /// @notice Refused, as is the form with three arguments: parts change hands by offer and acceptance.
    function safeTransferFrom(address, address, uint256, bytes memory) public pure override {
        revert HandOverOnly();
    }

    // --- inside ----------------------------------------------------------------------------

    function _checkOrigin(string calldata partNumber, string calldata unique, bytes32 birth)
        private
        returns (bytes7 key)
    {
        if (!_accredited[msg.sender]) revert NotAccredited(msg.sender);
        _checkText(partNumber);
        _checkText(unique);
        if (birth == 0) revert MissingHash();
        bytes32 hash = keccak256(bytes(partNumber));
        key = bytes7(hash);
        bytes32 known = _partNumbers[msg.sender][key];
        if (known == 0) _partNumbers[msg.sender][key] = hash;
        else if (known != hash) revert PartNumberClash(hash);
    }

    function _checkText(string calldata text) private pure {
        uint256 length = bytes(text).length;
        if (length == 0 || length > MAX_TEXT) revert BadLength(length);
    }

    function _checkTerms(uint256 id, address to, uint64 expires) private view {
        if (to == address(0) || to == msg.sender) revert BadReceiver(to);
        if (expires <= block.timestamp) revert OfferExpired(id, expires);
    }

    function _requireOwner(uint256 tokenId) private view {
        if (_requireOwned(tokenId) != msg.sender) revert NotOwner(tokenId, msg.sender);
    }

    /// Quarantined and scrapped parts go nowhere.
    function _requireSound(uint256 tokenId, Status status) private pure {
        if (status >= Status.Quarantined) revert WrongStatus(tokenId, status);
    }

    /// The strongest right to quarantine that the caller has.
    function _strength(address owner, address manufacturer) private view returns (Holder) {
        if (hasRole(ACCREDITOR_ROLE, msg.sender)) return Holder.Accreditor;
        if (msg.sender == manufacturer && _accredited[msg.sender]) return Holder.Manufacturer;
        return msg.sender == owner ? Holder.Owner : Holder.Nobody;
    }

    /// Check and delete the caller's offer; the giver is returned. Status and place were checked when the offer was made, and
    /// a change for the worse ends it.
    function _takeOffer(uint256 tokenId) private returns (address from) {
        from = _requireOwned(tokenId);
        Offer memory open = _offers[tokenId];
        if (open.to != msg.sender) revert NotOffered(tokenId, msg.sender);
        if (block.timestamp >= open.expires) revert OfferExpired(tokenId, open.expires);
        delete _offers[tokenId];
    }

    /// There are no approvals to clear.
    function _approve(address, uint256, address, bool) internal pure override {}

    function _handOver(uint256 tokenId, address from) private {
        _update(msg.sender, tokenId, address(0));
        if (_users[tokenId] != address(0)) {
            _users[tokenId] = address(0);
            emit UserAssigned(tokenId, address(0));
        }
        emit HandedOver(tokenId, from, msg.sender);
    }

    function _endOffer(uint256 tokenId) private {
        address to = _offers[tokenId].to;
        if (to == address(0)) return;
        delete _offers[tokenId];
        emit OfferCancelled(tokenId, to);
    }

    function _endQuantityOffer(uint256 batchId, address from, address to) private {
        uint64 quantity = _quantityOffers[batchId][from][to].quantity;
        Stock storage stock = _stocks[batchId][from];
        (stock.available, stock.offered) = (stock.available + quantity, stock.offered - quantity);
        delete _quantityOffers[batchId][from][to];
        emit QuantityOfferCancelled(batchId, from, to, quantity);
    }

    /// All quantities of a batch together are `released`, so no sum of them overflows.
    function _take(uint256 batchId, Stock storage stock, uint64 quantity) private {
        if (quantity == 0) revert ZeroQuantity();
        uint64 available = stock.available;
        if (available < quantity) revert InsufficientQuantity(batchId, available, quantity);
        stock.available = available - quantity;
    }
}
