// A bridge of hap-nodejs on 127.0.0.1: first prints its port, then answers each line of JSON with one.
// Arguments: id, PIN, name, directory for what it keeps. It announces nothing: what it would announce can be asked for.
"use strict";

const { EventEmitter } = require("node:events");
const readline = require("node:readline");
const hap = require("hap-nodejs");
const advertisers = require("hap-nodejs/dist/lib/Advertiser");
const { EventedHTTPServer } = require("hap-nodejs/dist/lib/util/eventedhttp");

const [id, pin, name, directory] = process.argv.slice(2);
const { Accessory, Bridge, Categories, Characteristic, HAPStorage, Service, uuid } = hap;

// mDNS would reach the network, and so would a server on all addresses.
const { createTxt, protocolVersion, protocolVersionService } = advertisers.CiaoAdvertiser;
class Silent extends EventEmitter {
  initPort() {}
  async startAdvertising() {}
  updateAdvertisement() {}
  async destroy() {}
}
Object.assign(Silent, { protocolVersion, protocolVersionService });
const { ff, sf } = advertisers.CiaoAdvertiser;
advertisers.CiaoAdvertiser = Silent;
const listen = EventedHTTPServer.prototype.listen;
EventedHTTPServer.prototype.listen = function (port) {
  return listen.call(this, port, "127.0.0.1");
};

HAPStorage.setCustomStoragePath(directory);

let how = "prompt";
const bridge = new Bridge(name, uuid.generate(`bridge ${id}`));

function accessory(called, ...services) {
  const one = new Accessory(called, uuid.generate(`${called} ${id}`));
  for (const [type, subtype, characteristics] of services) {
    const service = one.addService(type, subtype ? `${called} ${subtype}` : called, subtype);
    for (const characteristic of characteristics ?? []) {
      service.getCharacteristic(characteristic);
    }
  }
  bridge.addBridgedAccessory(one);
  return one;
}

function moves(service, target, current, begin) {
  service.getCharacteristic(target).onSet((value) => {
    if (how === "prompt") {
      service.updateCharacteristic(current, value);
    } else {
      begin(value);
    }
  });
}

const { Brightness, ColorTemperature, Hue, On, Saturation } = Characteristic;
accessory("Lamp", [Service.Lightbulb, undefined, [On, Brightness, Hue, Saturation, ColorTemperature]]);
accessory("Plug", [Service.Outlet]);
accessory("Heating", [Service.Thermostat, undefined, [Characteristic.CurrentRelativeHumidity]]);
accessory("Window", [Service.ContactSensor], [Service.Battery]);
accessory("Hall", [Service.MotionSensor], [Service.OccupancySensor], [Service.TemperatureSensor]);
accessory("Bath", [Service.HumiditySensor], [Service.LeakSensor]);

const lock = accessory("Front door", [Service.LockMechanism]).getService(Service.LockMechanism);
// A lock wants its writes announced, since release R2.
lock.getCharacteristic(Characteristic.LockTargetState).setProps({ perms: ["pr", "pw", "ev", "tw"] });
moves(lock, Characteristic.LockTargetState, Characteristic.LockCurrentState, () => {
  if (how === "jammed") {
    lock.updateCharacteristic(Characteristic.LockCurrentState, 2);
  }
});

const garage = accessory("Garage", [Service.GarageDoorOpener]).getService(Service.GarageDoorOpener);
moves(garage, Characteristic.TargetDoorState, Characteristic.CurrentDoorState, (value) => {
  garage.updateCharacteristic(Characteristic.CurrentDoorState, 2 + value);
});

const blind = accessory("Blind", [Service.WindowCovering]).getService(Service.WindowCovering);
moves(blind, Characteristic.TargetPosition, Characteristic.CurrentPosition, (value) => {
  const rises = value > blind.getCharacteristic(Characteristic.CurrentPosition).value;
  blind.updateCharacteristic(Characteristic.PositionState, rises ? 1 : 0);
});

const remote = accessory("Remote", [Service.StatelessProgrammableSwitch, "A"], [Service.StatelessProgrammableSwitch, "B"]);
remote.services
  .filter((service) => service.UUID === Service.StatelessProgrammableSwitch.UUID)
  .forEach((service, index) => service.setCharacteristic(Characteristic.ServiceLabelIndex, index + 1));

const word = (text) => text.replaceAll(" ", "");

function found(serviceName, characteristicName) {
  for (const one of bridge.bridgedAccessories) {
    for (const service of one.services) {
      if (service.UUID === Service[serviceName].UUID) {
        const characteristic = service.characteristics.find((each) => word(each.displayName) === characteristicName);
        return { one, service, characteristic };
      }
    }
  }
  throw new Error(`no ${serviceName} ${characteristicName}`);
}

const answers = {
  id({ service, characteristic }) {
    const at = found(service, characteristic);
    return [at.one.aid, at.characteristic.iid];
  },
  truth({ aid, iid }) {
    const one = aid === 1 ? bridge : bridge.bridgedAccessories.find((each) => each.aid === aid);
    const service = one.services.find((each) => each.characteristics.some((item) => item.iid === iid));
    return Object.fromEntries(service.characteristics.map((each) => [word(each.displayName), each.value]));
  },
  set({ service, characteristic, value }) {
    const at = found(service, characteristic);
    if (characteristic === "ProgrammableSwitchEvent") {
      at.characteristic.sendEventNotification(value);
    } else {
      at.characteristic.updateValue(value);
    }
    return null;
  },
  behave(asked) {
    how = asked.how;
    return null;
  },
  async flood({ number }) {
    const at = found("Lightbulb", "Brightness");
    const connections = [...bridge._server.httpServer.connections].filter((each) => each.isAuthenticated());
    for (const connection of connections) {
      while (connection.handlingRequest) {
        await new Promise(setImmediate);
      }
      for (let count = 0; count < number; count += 1) {
        connection.writeEventNotification({
          characteristics: [{ aid: at.one.aid, iid: at.characteristic.iid, value: 1 + (count % 100) }],
        });
      }
    }
    at.characteristic.value = 1 + ((number - 1) % 100);
    return at.characteristic.value;
  },
  forget() {
    const info = bridge._accessoryInfo;
    for (const { username } of info.listPairings()) {
      info._removePairedClient0({ server: bridge._server.httpServer }, username);
    }
    info.save();
    for (const connection of [...bridge._server.httpServer.connections]) {
      connection.close();
    }
    return null;
  },
  txt() {
    return createTxt.call({ protocolVersion, ff, sf }, bridge._accessoryInfo, "AAAA");
  },
};

bridge.on("listening", (port) => console.log(JSON.stringify(port)));
bridge.publish({ username: id, pincode: pin, category: Categories.BRIDGE, port: 0, addIdentifyingMaterial: false });

readline.createInterface({ input: process.stdin }).on("line", async (line) => {
  const asked = JSON.parse(line);
  console.log(JSON.stringify(await answers[asked.ask](asked)));
}).on("close", () => process.exit(0));
