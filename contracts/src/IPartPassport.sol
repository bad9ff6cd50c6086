// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Passports of physical parts, and batches of parts that are counted, not numbered
/// @notice One ERC-721 token per serial-numbered part, one record per batch. A part has an owner, a user, a status and a place:
/// another part that it is installed in. It changes hands only by an offer and its acceptance. Rules in words: docs/parts.md.
///
/// From ERC-4519 ("physical asset with user") come `setUser`, `userOf`, `UserAssigned` and the rule that a hand-over ends the
/// user's right. Left out: the asset's own address with its engagement handshake (`startOwnerEngagement` and its kin, `setTimeout`,
/// `tokenFromBCA`), because the twin's signers are known by the log's grants, not by this contract; `userBalanceOf` and
/// `userBalanceOfAnOwner`, because two more counters would make every hand-over dearer for what `UserAssigned` tells anyway; and
/// `payable`, because nothing here takes money. So the interface id of ERC-4519 is not claimed.
///
/// Times are POSIX seconds, quantities pieces. `birth` and `leaf` are RFC 9162 leaf hashes of statements in a log. Functions of
/// a token that was never minted revert with ERC721NonexistentToken.
interface IPartPassport {
    /// @notice Whether a part is fit for use. InService: released for service, installed or on a shelf. Removed: taken out of
    /// service. Quarantined: suspect; not to be installed or handed over until released. Scrapped: final.
    enum Status {
        InService,
        Removed,
        Quarantined,
        Scrapped
    }

    /// @notice A part. `partNumber` is the keccak256 of the text, `parent` the token that it is installed in, or 0.
    struct Part {
        address manufacturer;
        bytes32 partNumber;
        bytes32 twin;
        bytes32 birth;
        Status status;
        uint256 parent;
    }

    /// @notice A batch. `released` = what all owners hold (offered quantities too) + `installed` + `scrapped`, always.
    struct Batch {
        address manufacturer;
        bytes32 partNumber;
        bytes32 birth;
        uint64 released;
        uint64 installed;
        uint64 scrapped;
    }

    /// @notice A manufacturer got or lost the right to mint and release.
    event Accredited(address indexed manufacturer, bool accredited);
    /// @notice A part's passport exists from now on; its manufacturer owns it.
    event Minted(
        uint256 indexed tokenId,
        address indexed manufacturer,
        bytes32 indexed twin,
        string partNumber,
        string serial,
        bytes32 birth
    );
    /// @notice The owner offers a part; `to` may accept before `expires`.
    event Offered(uint256 indexed tokenId, address indexed from, address indexed to, uint64 expires);
    /// @notice An offer ended without a hand-over: cancelled, refused, or ended by a status or an installation.
    event OfferCancelled(uint256 indexed tokenId, address indexed to);
    /// @notice An offer was accepted (ERC-721's Transfer tells it, too).
    event HandedOver(uint256 indexed tokenId, address indexed from, address indexed to);
    /// @notice A part's status changed; `leaf` is the evidence, 0 if none was named.
    event StatusChanged(uint256 indexed tokenId, Status status, bytes32 leaf, address indexed by);
    /// @notice `child` is in `parent` from now on.
    event Installed(uint256 indexed child, uint256 indexed parent);
    /// @notice `child` is in `parent` no more.
    event Removed(uint256 indexed child, uint256 indexed parent);
    /// @notice ERC-4519: who may use the part; 0 means nobody but the owner.
    event UserAssigned(uint256 indexed tokenId, address indexed user);
    /// @notice A batch exists from now on; its manufacturer holds all of it.
    event BatchReleased(
        uint256 indexed batchId,
        address indexed manufacturer,
        string partNumber,
        string lot,
        uint64 quantity,
        bytes32 birth
    );
    /// @notice `from` offers a quantity and cannot use it otherwise until the offer ends.
    event QuantityOffered(
        uint256 indexed batchId, address indexed from, address indexed to, uint64 quantity, uint64 expires
    );
    /// @notice An offer of a quantity ended without a hand-over.
    event QuantityOfferCancelled(uint256 indexed batchId, address indexed from, address indexed to, uint64 quantity);
    /// @notice An offer of a quantity was accepted.
    event QuantityHandedOver(uint256 indexed batchId, address indexed from, address indexed to, uint64 quantity);
    /// @notice A quantity went from the owner's stock into a part.
    event QuantityInstalled(uint256 indexed batchId, uint256 indexed parent, uint64 quantity);
    /// @notice A quantity came out of a part, to its owner's stock or, if `scrapped`, to scrap.
    event QuantityRemoved(uint256 indexed batchId, uint256 indexed parent, uint64 quantity, bool scrapped);
    /// @notice A quantity of the owner's stock was scrapped.
    event QuantityScrapped(uint256 indexed batchId, address indexed owner, uint64 quantity);

    /// @notice ERC-721's own ways to transfer and approve are closed: parts change hands by offer and acceptance.
    error HandOverOnly();
    /// @notice Only an accredited manufacturer may do this.
    error NotAccredited(address caller);
    /// @notice This manufacturer already used this part number with this serial or lot.
    error AlreadyExists(uint256 id);
    /// @notice No batch has this id.
    error NoSuchBatch(uint256 batchId);
    /// @notice A text is empty or longer than 128 bytes.
    error BadLength(uint256 length);
    /// @notice A twin or a birth statement is named by a hash, which is not zero.
    error MissingHash();
    /// @notice The part number's short key belongs to another part number of the manufacturer (chance 2^-56 each).
    error PartNumberClash(bytes32 partNumber);
    /// @notice Only the part's owner may do this.
    error NotOwner(uint256 tokenId, address caller);
    /// @notice The part's status does not allow this.
    error WrongStatus(uint256 tokenId, Status status);
    /// @notice The caller may not change the part's status in this way.
    error StatusRefused(uint256 tokenId, Status status, Status wanted, address caller);
    /// @notice The part is in `parent`: remove it first.
    error StillInstalled(uint256 tokenId, uint256 parent);
    /// @notice The part is in no other part.
    error NotInstalled(uint256 tokenId);
    /// @notice A part cannot be installed in itself or in a part of its own.
    error Cycle(uint256 child, uint256 parent);
    /// @notice The assembly would be more than 16 levels deep.
    error TooDeep(uint256 child, uint256 parent);
    /// @notice An offer is open: cancel it first.
    error AlreadyOffered(uint256 id, address to);
    /// @notice There is no offer that the caller may accept or cancel.
    error NotOffered(uint256 id, address caller);
    /// @notice The offer's time is over, or a new offer's end lies in the past.
    error OfferExpired(uint256 id, uint64 expires);
    /// @notice An offer goes to somebody else: not to nobody, not to the owner.
    error BadReceiver(address to);
    /// @notice The parts named for acceptance are not exactly those in the assembly, each after its parent: `tokenId` does not
    /// fit, or, where it is the assembly itself, some part is missing.
    error AssemblyMismatch(uint256 tokenId);
    /// @notice A quantity is at least one.
    error ZeroQuantity();
    /// @notice Fewer are available than asked for. Offered quantities are not available.
    error InsufficientQuantity(uint256 batchId, uint64 available, uint64 wanted);
    /// @notice The offer is of another quantity than the receiver accepts.
    error WrongQuantity(uint256 batchId, uint64 offered, uint64 wanted);

    /// @notice Give a manufacturer the right to mint and release, or withdraw it. What exists stays.
    /// @dev For ACCREDITOR_ROLE.
    function setAccredited(address manufacturer, bool accredited) external;

    /// @notice Make a part's passport. The caller, an accredited manufacturer, owns it; its status is InService.
    /// @param partNumber the manufacturer's part number, 1 to 128 bytes
    /// @param serial the serial number, 1 to 128 bytes, once per manufacturer and part number
    /// @param twin sha256 of the twin's IRI
    /// @param birth leaf hash of the part's birth statement
    /// @return tokenId keccak256(abi.encode(manufacturer, partNumber, serial))
    function mint(string calldata partNumber, string calldata serial, bytes32 twin, bytes32 birth)
        external
        returns (uint256 tokenId);

    /// @notice Offer a part that is in no other part and neither quarantined nor scrapped. For its owner. An open offer must
    /// be cancelled first; an expired one is replaced.
    /// @param expires the first second at which the offer cannot be accepted any more
    function offer(uint256 tokenId, address to, uint64 expires) external;

    /// @notice Become owner of an offered part that has no parts in it. Its user's right ends.
    function accept(uint256 tokenId) external;

    /// @notice Become owner of an offered part and of all parts in it, however deep: `parts` are exactly those, each after the
    /// part that it is installed in. None may be quarantined or scrapped. Users' rights end. Installed quantities go along.
    function acceptAssembly(uint256 tokenId, uint256[] calldata parts) external;

    /// @notice End an offer: for the owner (cancels) and the receiver (refuses), expired or not.
    function cancelOffer(uint256 tokenId) external;

    /// @notice ERC-4519: say who may use a part, or with 0 that nobody does. For its owner; a user only in a part that is
    /// neither quarantined nor scrapped.
    function setUser(uint256 tokenId, address user) external;

    /// @notice Change a part's status. Its owner may set any, but releases a quarantine only if it is its own. The manufacturer,
    /// while accredited, and the accreditor may quarantine, too, also over a weaker party's quarantine (owner < manufacturer <
    /// accreditor); a release is up to who quarantined, or to the accreditor. Quarantined and Scrapped end an offer. Scrapped is
    /// final. A part that is in another one cannot be Removed.
    /// @param leaf leaf hash of the statement that says why, or 0
    function setStatus(uint256 tokenId, Status status, bytes32 leaf) external;

    /// @notice Put one part into another. For the owner of both. The child is InService and in no other part; the parent is neither
    /// quarantined nor scrapped. Ends an offer of the child.
    /// @dev Walks up at most 16 levels. The height that is kept per part never falls while anything is left in it, so after
    /// removals an assembly may count as deeper than it is; emptying a part sets it back. A 65,536th part in one panics.
    function install(uint256 child, uint256 parent) external;

    /// @notice Take a part out of the one that it is in, whatever their statuses. For its owner.
    function remove(uint256 child) external;

    /// @notice Make a batch. The caller, an accredited manufacturer, holds all of it.
    /// @return batchId keccak256(abi.encode("batch", manufacturer, partNumber, lot))
    function releaseBatch(string calldata partNumber, string calldata lot, uint64 quantity, bytes32 birth)
        external
        returns (uint256 batchId);

    /// @notice Offer a quantity and reserve it. One offer per batch, giver and receiver; an expired one is replaced.
    function offerQuantity(uint256 batchId, address to, uint64 quantity, uint64 expires) external;

    /// @notice Accept the quantity that `from` offers to the caller; `quantity` says how many the caller expects.
    function acceptQuantity(uint256 batchId, address from, uint64 quantity) external;

    /// @notice End the offer from `from` to `to`: for either of them, expired or not. The quantity is available again.
    function cancelQuantity(uint256 batchId, address from, address to) external;

    /// @notice Put a quantity of the caller's stock into a part that the caller owns and that is neither quarantined nor scrapped.
    function installQuantity(uint256 batchId, uint256 parent, uint64 quantity) external;

    /// @notice Take a quantity out of a part that the caller owns, whatever its status, to the caller's stock or to scrap.
    function removeQuantity(uint256 batchId, uint256 parent, uint64 quantity, bool scrap) external;

    /// @notice Scrap a quantity of the caller's stock.
    function scrapQuantity(uint256 batchId, uint64 quantity) external;

    /// @notice Whether an address may mint and release.
    function isAccredited(address manufacturer) external view returns (bool);

    /// @notice What is known about a part.
    function partOf(uint256 tokenId) external view returns (Part memory);

    /// @notice The part that a part is installed in, or 0.
    function parentOf(uint256 tokenId) external view returns (uint256);

    /// @notice How many parts are directly in a part. Which, the events tell.
    function childCount(uint256 tokenId) external view returns (uint256);

    /// @notice The part's offer as it was made, expired or not; zeros if there is none.
    function offerOf(uint256 tokenId) external view returns (address to, uint64 expires);

    /// @notice ERC-4519: the part's user, or 0.
    function userOf(uint256 tokenId) external view returns (address);

    /// @notice What is known about a batch.
    function batchOf(uint256 batchId) external view returns (Batch memory);

    /// @notice What an owner holds of a batch: available, and reserved by its offers.
    function heldOf(uint256 batchId, address owner) external view returns (uint64 available, uint64 offered);

    /// @notice The offer of a quantity as it was made; zeros if there is none.
    function quantityOfferOf(uint256 batchId, address from, address to)
        external
        view
        returns (uint64 quantity, uint64 expires);

    /// @notice How many of a batch are in a part.
    function installedIn(uint256 batchId, uint256 parent) external view returns (uint64);
}
