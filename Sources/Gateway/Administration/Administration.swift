import Cluster
package import ObjectModel
package import SheepProtocol

package typealias AdministrationCompletion = (Result<AdministrationReply, SheepError>) -> Void

extension SheepNode {
    /// Serves one request of `dog`; passes it to the volume's owner where only that one can do it, which is told by whose `run`.
    package func administer(
        _ request: AdministrationRequest, forwardedBy run: BootID? = nil, completion: @escaping AdministrationCompletion
    ) {
        whenCurrent { [self] in administerNow(request, forwardedBy: run, completion: completion) }
    }

    private func administerNow(
        _ request: AdministrationRequest, forwardedBy run: BootID?, completion: @escaping AdministrationCompletion
    ) {
        switch request {
        case .clusterInformation: clusterInformation(completion)
        case .clusterFormat(let format): self.format(format, completion)
        case .nodeList: completion(.success(.nodes(nodeList().map(\.record))))
        case .nodeKill(let node): kill(node, completion)
        case .nodeEnd: kill(identity, completion)
        case .nodeStatistics: completion(.success(.statistics(statistics)))
        case .checkProgress(let identity): completion(checks.progress(of: identity))
        default:
            if let refusal { return completion(.failure(refusal)) }
            administerFormatted(request, forwardedBy: run, completion: completion)
        }
    }

    private func administerFormatted(
        _ request: AdministrationRequest, forwardedBy run: BootID?, completion: @escaping AdministrationCompletion
    ) {
        switch request {
        case .clusterShutdown: shutdownCluster(completion)
        case .clusterCheck: startCheck(of: nil, verify: true, completion)
        case .clusterRecover(let present): recover(goingOnWith: present, completion)
        case .nodeSpace: nodeSpace(completion)
        case .nodeRecovery: nodeRecovery(completion)
        case .recoveryThrottle: completion(.success(.recoveryThrottle(recovery.throttle)))
        case .recoveryThrottleSet(let throttle):
            recovery.throttle = throttle
            completion(.success(.done))
        case .nodeRemove(let node, let givesUp): remove(node, givesUp: givesUp, completion)
        case .volumeCreate(let create): self.create(create, completion)
        case .volumeList(let name): listVolumes(named: name, completion)
        case .volumeFind(let reference): completion(Result { () throws(SheepError) in .volume(record(try find(reference), usage: nil)) })
        case .volumeClone(let clone): self.clone(clone, completion)
        case .volumeRename(let rename): self.rename(rename, completion)
        case .volumeCheck(let reference, let existenceOnly):
            withVolume(reference, completion) { self.startCheck(of: $0, verify: !existenceOnly, completion) }
        case .attributeSet(let set): setAttribute(set, completion)
        case .attributeGet(let get): getAttribute(get, completion)
        case .attributeList(let reference): listAttributes(reference, completion)
        case .objectLocation(let location): locate(location, completion)
        case .objectMap(let map): mapObjects(map, completion)
        case .lockList: completion(.success(.locks(lockList())))
        case .lockUnlock(let reference): unlock(reference, completion)
        case .volumeDelete, .volumeSnapshot, .volumeRollback, .volumeResize, .volumeHandOver:
            administerOwned(request, forwardedBy: run, completion: completion)
        case .clusterInformation, .clusterFormat, .nodeList, .nodeKill, .nodeEnd, .nodeStatistics, .checkProgress:
            preconditionFailure("answered before")
        }
    }

    // MARK: Finding volumes

    func find(_ reference: VolumeReference) throws(SheepError) -> VolumeRow {
        let state = control.state
        let name = reference.name
        switch reference.selector {
        case .working:
            guard let volume = state.volume(named: name) else { throw SheepError(.noSuchVolume, "volume \(name) does not exist") }
            return volume
        case .id(let id):
            if let snapshot = state.snapshot(ofVolumeNamed: name, id: id) { return snapshot }
        case .tag(let tag):
            if let snapshot = state.snapshot(ofVolumeNamed: name, tag: tag) { return snapshot }
        }
        let isKnown = state.volumes.contains { $0.name == name && !$0.isDeleted }
        throw isKnown
            ? SheepError(.noSuchSnapshot, "volume \(name) has no such snapshot")
            : SheepError(.noSuchVolume, "volume \(name) does not exist")
    }

    func withVolume(
        _ reference: VolumeReference, _ completion: @escaping AdministrationCompletion, body: (VolumeRow) -> Void
    ) {
        do throws(SheepError) { body(try find(reference)) } catch { completion(.failure(error)) }
    }

    // MARK: Between sheep

    /// Asks every other sheep that is up; those that do not answer are left out.
    func askAll<Answer: WireCodable>(
        _ operation: Operation, body: [UInt8] = [], as: Answer.Type, completion: @escaping ([NodeID: Answer]) -> Void
    ) {
        let peers = control.state.nodes.values.filter { $0.isUp && $0.id != identity }.map(\.id).sorted()
        var answers: [NodeID: Answer] = [:]
        var remaining = peers.count + 1
        let done = {
            remaining -= 1
            if remaining == 0 { completion(answers) }
        }
        for peer in peers {
            network.send(operation, body: body, payload: nil, to: peer) { result in
                if case .success(let reply) = result { answers[peer] = try? Answer(wire: reply.body) }
                done()
            }
        }
        done()
    }

    /// Turns the result of a control log entry into a reply.
    func propose(_ command: ControlOrder, _ completion: @escaping AdministrationCompletion, reply: @escaping (Birth?) -> AdministrationReply) {
        control.propose(command) { result in
            switch result {
            case .done, .lease: completion(.success(reply(nil)))
            case .volume(let birth): completion(.success(reply(birth)))
            case .refused(let error): completion(.failure(error))
            }
        }
    }
}
