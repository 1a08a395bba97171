import ArgumentParser
import Client
import Listings
import ObjectModel
import SheepProtocol

struct VdiOwner: SheepCommand {
    static let configuration = CommandConfiguration(
        commandName: "owner", abstract: "The sheep that orders a volume's writes, or makes another one it, while clients go on.",
        discussion: """
            Any sheep serves any volume, but one orders its writes, and the others pass theirs on to it: a volume is quickest through its owner. \
            Whoever is asked first becomes it, and when the clients of one other sheep alone have used the volume for 30 seconds, that one. \
            To give it to a sheep at once, as after a live migration, name that sheep; it keeps it as long as its clients use the volume.
            """)
    @OptionGroup var common: CommonOptions
    @OptionGroup var listing: ListingOptions
    @Argument(help: ArgumentHelp("The volume's name.", valueName: "name"))
    var name: VolumeName
    @Argument(help: ArgumentHelp("The number in 'node list' of the sheep that becomes the owner.", valueName: "id"))
    var number: UInt32?

    func run(with sheep: SheepClient) async throws {
        let volume = VolumeReference(name: name.text)
        if let number {
            let order = VolumeHandOver(name: name.text, owner: try await sheep.node(number))
            _ = try await sheep.ask(.volumeHandOver(order), about: volume, orFail: "Failed to make node \(number) the owner of VDI \(name.text)")
            return
        }
        let reply = try await sheep.ask(.volumeFind(volume), about: volume, orFail: "Failed to find VDI \(name.text)")
        guard case .volume(let record) = reply else { throw unexpectedReply() }
        let nodes = try await sheep.nodes()
        let place = nodes.firstIndex { $0.node == record.owner }
        Terminal.print(text(place, place.map { nodes[$0].address }))
    }

    private func text(_ place: Int?, _ address: String?) -> String {
        if listing.json {
            let owner: JSON = if let place { .number(UInt64(place)) } else { .null }
            let at: JSON = if let address { .string(address) } else { .null }
            return JSON.object([("name", .string(name.text)), ("owner", owner), ("address", at)]).text()
        }
        guard let place, let address else {
            return common.raw ? "-" : "Nobody orders the writes of VDI \(name.text): whoever is asked first will"
        }
        return common.raw ? "\(place) \(address)" : "Node \(place), \(address), orders the writes of VDI \(name.text)"
    }
}
